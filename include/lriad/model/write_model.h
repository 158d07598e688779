#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "lriad/model/model_files.h"
#include "lriad/model/safetensors.h"

namespace lriad {

/// Writes model.safetensors, or shards of at most 4 GB (as the published ones) with their index, into an existing
/// folder. Tensors are made one at a time, so that the peak is the largest of them.
void write_weights(const std::filesystem::path& folder, const std::vector<TensorSpec>& tensors,
                   const TensorMaker& make);

/// Copies what a model folder holds besides weights (config, tokenizer, preprocessor, template, generation) and sets
/// the dtype in config.json.
void copy_side_files(const std::filesystem::path& source_dir, const std::filesystem::path& output_dir,
                     at::ScalarType dtype);

/// The model of `model_dir` in `dtype` with the adapter added to its weights, as PEFT's merge_and_unload, as a complete
/// folder in the source's key style; tensors pass through memory one at a time. Throws Error for an adapter that does
/// not fit the model, naming the tensor.
void merge_adapter(const std::filesystem::path& model_dir, const std::filesystem::path& adapter_dir,
                   const std::filesystem::path& output_dir, at::ScalarType dtype);

}  // namespace lriad

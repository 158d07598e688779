#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "lriad/model/model_files.h"
#include "lriad/model/safetensors.h"

namespace lriad {

/// Writes model.safetensors, or shards of at most 4 GB (as the published ones) with their index, into an existing
/// folder. Only one tensor is in memory at a time.
void write_weights(const std::filesystem::path& folder, const std::vector<TensorSpec>& tensors,
                   const TensorMaker& make);

/// Copies the files of a model folder other than weights (config, tokenizer, preprocessor, chat template, generation
/// config) and sets the dtype in config.json.
void copy_side_files(const std::filesystem::path& source_dir, const std::filesystem::path& output_dir,
                     at::ScalarType dtype);

/// Writes a complete model folder in `dtype` with the adapter added to the weights of `model_dir`, as PEFT's
/// merge_and_unload; the tensors have their published names, whatever those of the source. kMergedAdaptersFile notes
/// the adapter. Only one tensor is in memory at a time. Throws Error as check_origin() and check_adapter() do.
void merge_adapter(const std::filesystem::path& model_dir, const std::filesystem::path& adapter_dir,
                   const std::filesystem::path& output_dir, at::ScalarType dtype);

}  // namespace lriad

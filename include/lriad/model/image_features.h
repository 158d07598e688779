#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <vector>

#include "lriad/data/prepare.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// Rows that the images of each sample give the language model, [image tokens, hidden size] a sample, by one pass of
/// the vision tower over all images; with gradients if they are on and the tower is trained.
std::vector<at::Tensor> image_features(Qwen2Vl& model, std::span<const PreparedSample> samples);

/// read_image_settings() of a model folder; throws Error if they cut other patches than its config.json says.
ImageSettings read_model_image_settings(const std::filesystem::path& model_dir, const ImageSection& section);

}  // namespace lriad

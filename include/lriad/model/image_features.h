#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "lriad/model/qwen2_vl.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// Rows of the language model for each image, [image tokens, hidden size], by one pass of the vision tower over all
/// images; with gradients if they are on and the tower is trained.
std::vector<at::Tensor> image_features(Qwen2Vl& model, const std::vector<const Patches*>& images);

/// read_image_settings() of a model folder; throws Error if they cut other patches than its config.json says.
ImageSettings read_model_image_settings(const std::filesystem::path& model_dir, const ImageSection& section);

}  // namespace lriad

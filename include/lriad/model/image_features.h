#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "lriad/model/qwen2_vl.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// Features of each image, [image tokens, feature_dim()], from one pass of the vision tower over all images; with
/// gradients if these are enabled and the tower is trained.
std::vector<at::Tensor> image_features(Qwen2Vl& model, const std::vector<const Patches*>& images);

/// Features of a prompt's images one after another; those of a single one are returned as they are.
at::Tensor joined(const std::vector<at::Tensor>& features);

/// Pixel values of all images one after another [N, patch_dim], on the model's device in its dtype.
at::Tensor pixel_values(const Qwen2Vl& model, const std::vector<const Patches*>& images);

/// read_image_settings() of a model folder; throws Error if their patch sizes contradict its config.json.
ImageSettings read_model_image_settings(const std::filesystem::path& model_dir, const ImageSection& section);

}  // namespace lriad

#include "lriad/model/image_features.h"

#include <ATen/ATen.h>

#include "lriad/core/error.h"

namespace lriad {

at::Tensor pixel_values(const Qwen2Vl& model, const std::vector<const Patches*>& images) {
  const at::Tensor& like = model->head();
  std::vector<at::Tensor> patches;
  for (const Patches* image : images) {
    const auto& values = image->values;
    const at::Tensor view =
        at::from_blob(const_cast<float*>(values.data()), {static_cast<int64_t>(values.size())}, at::kFloat);
    patches.push_back(view.view({-1, model->config().vision.patch_dim()}).to(like.device(), like.scalar_type()));
  }
  return patches.size() == 1 ? patches.front() : at::cat(patches);
}

std::vector<at::Tensor> image_features(Qwen2Vl& model, const std::vector<const Patches*>& images) {
  if (images.empty()) return {};
  std::vector<Grid> grids;
  std::vector<int64_t> rows;
  for (const Patches* image : images) {
    grids.push_back(image->grid);
    rows.push_back(image->tokens(model->config().vision.spatial_merge_size));
  }
  return model->image_features(pixel_values(model, images), grids).split_with_sizes(rows);
}

at::Tensor joined(const std::vector<at::Tensor>& features) {
  return features.size() == 1 ? features.front() : at::cat(features);
}

ImageSettings read_model_image_settings(const std::filesystem::path& model_dir, const ImageSection& section) {
  const ImageSettings image = read_image_settings(model_dir, section);
  const VisionConfig vision = read_model_config(model_dir).vision;
  const auto check = [&](const char* key, int64_t got, int64_t expected) {
    if (got == expected) return;
    fail("model", model_dir.string(), ": the ", key, " of its image settings is ", got, ", but ", expected,
         " in vision_config of config.json; take all files of the published model");
  };
  check("patch_size", image.patch_size, vision.patch_size);
  check("temporal_patch_size", image.temporal_patch_size, vision.temporal_patch_size);
  check("merge_size", image.merge_size, vision.spatial_merge_size);
  return image;
}

}  // namespace lriad

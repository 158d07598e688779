#include "lriad/eval/model_inputs.h"

#include <ATen/ATen.h>

namespace lriad {

std::vector<at::Tensor> image_features(Qwen2Vl& model, std::span<const PreparedSample> samples) {
  if (samples.empty()) return {};
  const at::Tensor& like = model->head();
  const VisionConfig& vision = model->config().vision;
  std::vector<at::Tensor> patches;
  std::vector<Grid> grids;
  std::vector<int64_t> rows;
  for (const PreparedSample& sample : samples) {
    const auto& values = sample.patches.values;
    const at::Tensor view =
        at::from_blob(const_cast<float*>(values.data()), {static_cast<int64_t>(values.size())}, at::kFloat);
    patches.push_back(view.view({-1, vision.patch_dim()}).to(like.device(), like.scalar_type()));
    grids.push_back(sample.patches.grid);
    rows.push_back(sample.patches.tokens(vision.spatial_merge_size));
  }
  return model->image_features(patches.size() == 1 ? patches.front() : at::cat(patches), grids).split_with_sizes(rows);
}

}  // namespace lriad

// Prompts with text between two images, as transformers computes them for the tiny checkpoint of each family.
// Golden: scripts/golden/make_references.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lriad/model/load_model.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/model/safetensors.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr double kLogitGap = 2e-4;  // as in family_checkpoints_test

class ReferencePrompt : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Of, ReferencePrompt,
                         ::testing::Values("tiny_qwen2vl_flat_untied", "tiny_qwen25vl", "tiny_qwen3vl"),
                         [](const auto& test) { return std::string(test.param).substr(5); });

TEST_P(ReferencePrompt, HasPositionsAndLogitsOfTransformers) {
  at::set_num_threads(1);
  const fs::path golden(LRIAD_GOLDEN_DIR);
  const SafetensorsFile expected(golden / "references.safetensors"),
      images(golden / GetParam() / "expected.safetensors");
  const auto of = [&](const char* name) { return expected.tensor(std::string(GetParam()) + name); };
  Qwen2Vl model = load_model(golden / GetParam(), at::kFloat, at::kCPU);
  const at::NoGradGuard no_grad;
  std::vector<Grid> grids;
  const at::Tensor rows = images.tensor("image_grid_thw");
  for (int64_t row = 0; row < rows.size(0); ++row)
    grids.push_back({rows[row][0].item<int64_t>(), rows[row][1].item<int64_t>(), rows[row][2].item<int64_t>()});
  ASSERT_EQ(grids.size(), 2u);
  const at::Tensor ids = of(".ids");
  const at::Tensor positions = mrope_positions({ids.data_ptr<int64_t>(), static_cast<std::size_t>(ids.size(0))}, grids,
                                               model->config().image_token_id, 2);
  EXPECT_TRUE(at::equal(positions, of(".positions").squeeze(1)));
  const at::Tensor features = model->image_features(images.tensor("pixel_values"), grids);
  const at::Tensor hidden = model->hidden({ids, positions, {{0, ids.size(0), -1}}, features, {}, {}});
  EXPECT_LE(largest_gap(model->logits(hidden), of(".logits")), kLogitGap);
}

}  // namespace
}  // namespace lriad

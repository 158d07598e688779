// Golden: scripts/golden/make_heat_maps.py: heat maps of the tiny checkpoints of three families by transformers.
#include "lriad/eval/model_maps.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lriad/core/error.h"
#include "lriad/model/attention.h"
#include "lriad/model/attention_weights.h"
#include "lriad/model/load_model.h"
#include "lriad/model/safetensors.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

constexpr double kRelative = 1e-3;

/// The golden maker's formula.
Patches patches_of(int64_t image, const Grid& grid, int64_t width) {
  Patches patches{std::vector<float>(static_cast<std::size_t>(grid[1] * grid[2] * width)), grid};
  for (std::size_t k = 0; k < patches.values.size(); ++k) {
    const int64_t i = static_cast<int64_t>(k) + 1000 * image;
    patches.values[k] = static_cast<float>(static_cast<double>((i * i + 31 * i) % 997) / 498.5 - 1);
  }
  return patches;
}

class ModelMaps : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    model_ = load_model(folder(), at::kFloat, at::kCPU);
    make_samples("heat_maps.safetensors");
  }

  static std::filesystem::path folder() { return std::filesystem::path(LRIAD_GOLDEN_DIR) / GetParam(); }

  Patches patches(int64_t number) const {
    return patches_of(number, kGrids[static_cast<std::size_t>(number)], model_->config().vision.patch_dim());
  }

  void make_samples(const char* file) {
    expected_ = std::make_unique<SafetensorsFile>(folder() / file);
    samples_.clear();
    for (int64_t image = 0; image < 2; ++image) {
      PreparedSample& sample = samples_.emplace_back();
      sample.index = image;
      const std::vector<double> ids = expected(image, "prompt_ids");
      sample.prompt_ids.assign(ids.begin(), ids.end());
      sample.patches = patches(image);
    }
  }

  std::vector<double> expected(int64_t image, const std::string& name) const {
    const at::Tensor values = expected_->tensor(concat(image, ".", name)).to(at::kDouble).flatten().contiguous();
    return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
  }

  void expect_near(const std::vector<double>& got, int64_t image, const std::string& name) const {
    const std::vector<double> wanted = expected(image, name);
    ASSERT_EQ(got.size(), wanted.size()) << name;
    const double largest = std::abs(*std::ranges::max_element(wanted, {}, [](double x) { return std::abs(x); }));
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], wanted[i], kRelative * std::max(std::abs(wanted[i]), 0.01 * largest)) << name << " " << i;
    }
  }

  static constexpr std::array<Grid, 2> kGrids = {Grid{1, 8, 12}, Grid{1, 12, 6}};
  const std::vector<std::vector<int64_t>> answers_ = {{17, 40, 99, 23, 61}, {5}};
  const MapProbe probe_ = {{71, 12, 90, 33}, 51, 52};
  std::unique_ptr<SafetensorsFile> expected_;
  Qwen2Vl model_{nullptr};
  std::vector<PreparedSample> samples_;
};

INSTANTIATE_TEST_SUITE_P(Of, ModelMaps, ::testing::Values("tiny_qwen2vl_flat_untied", "tiny_qwen25vl", "tiny_qwen3vl"),
                         [](const auto& test) { return std::string(test.param).substr(5); });

TEST_P(ModelMaps, PartsAreThoseOfTransformers) {
  const std::vector<MapParts> parts = map_parts(model_, samples_, answers_, probe_);
  for (int64_t image = 0; image < 2; ++image) {
    const MapParts& of_image = parts.at(static_cast<std::size_t>(image));
    expect_near(of_image.attention, image, "attention");
    expect_near(of_image.gradient, image, "gradient");
    expect_near({of_image.score}, image, "score");
  }
}

TEST_P(ModelMaps, MapsAndDeletionChecksAreThoseOfTransformers) {
  const std::vector<HeatMap> maps = heat_maps(model_, samples_, answers_, probe_, /*seed=*/7);
  for (int64_t image = 0; image < 2; ++image) {
    const HeatMap& map = maps.at(static_cast<std::size_t>(image));
    EXPECT_EQ(map.rows, kGrids[static_cast<std::size_t>(image)][1] / 2);
    EXPECT_EQ(map.columns, kGrids[static_cast<std::size_t>(image)][2] / 2);
    expect_near(map.cells, image, "map");
    expect_near({map.drop, map.random_drop}, image, "deletion");
  }
}

TEST_P(ModelMaps, AreOfTheImageBehindAReferenceImage) {
  make_samples("heat_maps_reference.safetensors");
  for (int64_t number = 0; number < 2; ++number)
    samples_[static_cast<std::size_t>(number)].references = {patches(1 - number)};
  const std::vector<MapParts> parts = map_parts(model_, samples_, answers_, probe_);
  const std::vector<HeatMap> maps = heat_maps(model_, samples_, answers_, probe_, /*seed=*/7);
  for (int64_t number = 0; number < 2; ++number) {
    const auto k = static_cast<std::size_t>(number);
    expect_near(parts[k].attention, number, "attention");
    expect_near(parts[k].gradient, number, "gradient");
    expect_near({parts[k].score}, number, "score");
    expect_near(maps[k].cells, number, "map");
    expect_near({maps[k].drop, maps[k].random_drop}, number, "deletion");
  }
}

// Which images share a pass must not matter.
TEST_P(ModelMaps, AnImageAloneHasTheSameMap) {
  const std::vector<HeatMap> both = heat_maps(model_, samples_, answers_, probe_, 7);
  const std::vector<HeatMap> alone = heat_maps(model_, std::span(samples_).subspan(1), {answers_[1]}, probe_, 7);
  for (std::size_t i = 0; i < alone[0].cells.size(); ++i) EXPECT_NEAR(alone[0].cells[i], both[1].cells[i], 1e-4);
  EXPECT_NEAR(alone[0].random_drop, both[1].random_drop, 1e-3);
}

TEST_P(ModelMaps, LeavesTheWeightsWithoutGradients) {
  add_tiny_adapter(model_, 3);
  map_parts(model_, samples_, answers_, probe_);
  for (const at::Tensor& weight : model_->parameters()) EXPECT_FALSE(weight.grad().defined());
}

// The weights times the values are what the attention gives these rows.
TEST(AttentionWeights, MixTheValuesAsPackedAttentionDoes) {
  at::Generator generator = seeded(5);
  const at::Tensor q = normal({11, 4, 8}, generator), k = normal({11, 2, 8}, generator),
                   v = normal({11, 2, 8}, generator);
  const std::vector<RowSpan> spans = {{0, 3, -1}, {3, 8, -1}, {8, 11, 1}};
  const at::Tensor mixed = packed_attention(q, k, v, attention_layout(spans, 4, at::kCPU));
  const at::Tensor weights = attention_weights(q, k, /*begin=*/3, /*end=*/11, /*count=*/4);
  const at::Tensor values = v.slice(0, 3, 11).repeat_interleave(2, 1);
  EXPECT_LT((at::einsum("rhs,shd->rhd", {weights, values}) - mixed.slice(0, 7, 11)).abs().max().item<double>(), 1e-12);
}

}  // namespace
}  // namespace lriad

// Tiny random checkpoints of Qwen2.5-VL and Qwen3-VL with what transformers and PEFT compute for them on one thread.
// Golden: scripts/golden/make_families.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>

#include "lriad/core/error.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/feature_cache.h"
#include "lriad/model/image_features.h"
#include "lriad/model/load_model.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/model/safetensors.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

// Logits reach 25; machines differ by up to 1e-4 in them.
constexpr double kLogitGap = 2e-4, kFeatureGap = 2e-5, kGradientGap = 2e-4;

class FamilyCheckpoint : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    folder_ = std::filesystem::path(LRIAD_GOLDEN_DIR) / GetParam();
    expected_ = std::make_unique<SafetensorsFile>(folder_ / "expected.safetensors");
    model_ = load_model(folder_, at::kFloat, at::kCPU);
    const at::Tensor grids = expected("image_grid_thw");
    for (int64_t row = 0; row < grids.size(0); ++row) {
      grids_.push_back({grids[row][0].item<int64_t>(), grids[row][1].item<int64_t>(), grids[row][2].item<int64_t>()});
    }
  }

  at::Tensor expected(const std::string& name) const { return expected_->tensor(name); }
  void add_adapter(Qwen2Vl& model) const { lriad::add_adapter(model, read_adapter(folder_ / "adapter"), 0.0); }

  at::Tensor positions(const at::Tensor& ids) const {
    return mrope_positions({ids.data_ptr<int64_t>(), static_cast<std::size_t>(ids.size(0))}, grids_,
                           model_->config().image_token_id, 2);
  }

  /// The prompt, and after it `more` as one sequence.
  PackedTokens packed(Qwen2Vl& model, const at::Tensor& more = at::empty({0}, at::kLong)) const {
    const at::Tensor ids = at::cat({expected("input_ids")[0], more});
    const at::Tensor features = model->image_features(expected("pixel_values"), grids_);
    return {ids, positions(ids), {{0, ids.size(0), -1}}, features, {}, {}};
  }

  at::Tensor logits(Qwen2Vl& model) const { return model->logits(model->hidden(packed(model))); }

  /// Mean of minus the log-probabilities of the answer after the prompt.
  at::Tensor answer_loss(Qwen2Vl& model) const {
    const at::Tensor answer = expected("answer_ids");
    const int64_t begin = expected("input_ids").size(1) - 1;
    const at::Tensor rows = model->hidden(packed(model, answer)).slice(0, begin, begin + answer.size(0));
    return at::cross_entropy_loss(model->logits(rows), answer);
  }

  std::filesystem::path folder_;
  std::unique_ptr<SafetensorsFile> expected_;
  Qwen2Vl model_{nullptr};
  std::vector<Grid> grids_;
};

INSTANTIATE_TEST_SUITE_P(Of, FamilyCheckpoint, ::testing::Values("tiny_qwen25vl", "tiny_qwen3vl"),
                         [](const auto& test) { return std::string(test.param).substr(5); });

TEST_P(FamilyCheckpoint, PixelsAreExact) {
  const ImageSettings settings = read_model_image_settings(folder_, {});
  std::vector<float> values;
  for (std::size_t k = 0; k < grids_.size(); ++k) {
    const Patches patches = process_image(folder_ / "images" / concat(k, ".png"), settings);
    EXPECT_EQ(patches.grid, grids_[k]);
    values.insert(values.end(), patches.values.begin(), patches.values.end());
  }
  EXPECT_TRUE(at::equal(at::tensor(values), expected("pixel_values").flatten()));
}

// Rows of one image alone, as the cache keeps them, are those of all images together; from memory and from the disk.
TEST_P(FamilyCheckpoint, TheCacheKeepsEveryRowOfAnImage) {
  const at::NoGradGuard no_grad;
  const Patches image = process_image(folder_ / "images" / "0.png", read_model_image_settings(folder_, {}));
  const TempFolder folder;
  FeatureCache cache({1, 1, folder.path().string()}, model_);
  const at::Tensor first = cache.features(image), again = cache.features(image);
  EXPECT_EQ(first.size(1), model_->config().feature_dim());
  EXPECT_LE(largest_gap(first, expected("vision.features").slice(0, 0, first.size(0))), kFeatureGap);
  EXPECT_TRUE(at::equal(first, again));
  FeatureCache later({1, 1, folder.path().string()}, model_);
  EXPECT_TRUE(at::equal(later.features(image), first));
}

TEST_P(FamilyCheckpoint, TowerMatches) {
  const at::NoGradGuard no_grad;
  const auto tower = [](const Qwen2Vl& model) {
    return std::dynamic_pointer_cast<VisionTowerImpl>(model->named_modules()["model.visual"]);
  };
  const at::Tensor pixels = expected("pixel_values");
  const auto visual = tower(model_);
  // Its values are larger than the features', and sums differ between instruction sets.
  const at::Tensor last = expected("vision.last");
  EXPECT_LE(largest_gap(visual->encode(visual->embed_patches(pixels), grids_).last_ND, last),
            kFeatureGap * std::max(1.0, last.abs().max().item<double>()));
  EXPECT_LE(largest_gap(model_->image_features(pixels, grids_), expected("vision.features")), kFeatureGap);
}

// Every rounding of the tower is transformers' own: what remains are sums in another order.
TEST_P(FamilyCheckpoint, TowerRoundsInBfloat16WhereTransformersDoes) {
  const at::NoGradGuard no_grad;
  Qwen2Vl half = load_model(folder_, at::kBFloat16, at::kCPU);
  const at::Tensor features = half->image_features(expected("pixel_values"), grids_).to(at::kFloat);
  const at::Tensor theirs = expected("bf16.vision.features").to(at::kFloat), exact = expected("vision.features");
  EXPECT_LE((features - theirs).abs().mean().item<double>(), 0.2 * (theirs - exact).abs().mean().item<double>());
}

TEST_P(FamilyCheckpoint, PositionsAreExact) {
  EXPECT_TRUE(at::equal(positions(expected("input_ids")[0]), expected("position_ids").select(1, 0)));
}

TEST_P(FamilyCheckpoint, LogitsMatchWithoutAndWithTheAdapter) {
  const at::NoGradGuard no_grad;
  EXPECT_LE(largest_gap(logits(model_), expected("logits")), kLogitGap);
  add_adapter(model_);
  EXPECT_LE(largest_gap(logits(model_), expected("lora.logits")), kLogitGap);
  model_->enable_lora(false);
  EXPECT_LE(largest_gap(logits(model_), expected("logits")), kLogitGap);
}

TEST_P(FamilyCheckpoint, LossAndAdapterGradientsMatchWithAndWithoutCheckpointing) {
  add_adapter(model_);
  const at::Tensor loss = answer_loss(model_);
  EXPECT_NEAR(loss.item<double>(), expected("lora.loss").item<double>(), 1e-5);
  loss.backward();
  const auto gradients = take_gradients(model_);
  EXPECT_EQ(std::ssize(gradients), 4 * model_->config().text.num_hidden_layers);
  for (const auto& [name, gradient] : gradients)
    EXPECT_LE(largest_gap(gradient, expected("lora.grad." + name)), kGradientGap) << name;
  model_->set_gradient_checkpointing(true);
  answer_loss(model_).backward();
  for (const auto& [name, gradient] : take_gradients(model_)) EXPECT_TRUE(at::equal(gradient, gradients.at(name)));
}

// Two completions that share the prompt, and so its deepstack rows, are two separate sequences, in float64.
TEST_P(FamilyCheckpoint, SharedPrefixEqualsSeparateSequences) {
  Qwen2Vl model = load_model(folder_, at::kDouble, at::kCPU);
  add_adapter(model);
  const at::Tensor prompt = expected("input_ids")[0], answer = expected("answer_ids");
  const int64_t length = prompt.size(0), begin = 3, end = begin + answer.size(0) - 2;
  const at::Tensor whole_a = packed(model, answer.slice(0, 0, begin)).positions_3T, first = answer.slice(0, 0, begin);
  const at::Tensor second = answer.slice(0, 2), whole_b = packed(model, second).positions_3T;
  PackedTokens shared = packed(model);
  shared.ids_T = at::cat({prompt, first, second});
  shared.positions_3T = at::cat({whole_a, whole_b.slice(1, length)}, 1);
  shared.spans = {{0, length, -1}, {length, length + begin, 0}, {length + begin, length + end, 0}};
  const at::Tensor together = model->hidden(shared).slice(0, length);
  const at::Tensor apart = at::cat(
      {model->hidden(packed(model, first)).slice(0, length), model->hidden(packed(model, second)).slice(0, length)});
  EXPECT_LE(largest_gap(together, apart), 1e-10);
  together.square().sum().backward();
  const auto gradients = take_gradients(model);
  apart.square().sum().backward();
  for (const auto& [name, gradient] : take_gradients(model)) {
    EXPECT_LE(largest_gap(gradient, gradients.at(name)), 1e-10 * std::max(1.0, gradient.abs().max().item<double>()));
  }
}

// Two right programs round differently, so the sizes of the errors are compared.
TEST_P(FamilyCheckpoint, HalfPrecisionLogitsAreAsNearToFloat32AsThoseOfTransformers) {
  const at::NoGradGuard no_grad;
  Qwen2Vl half = load_model(folder_, at::kBFloat16, at::kCPU);
  const at::Tensor exact = expected("logits");
  const auto error = [&](const at::Tensor& got) { return (got.to(at::kFloat) - exact).abs().mean().item<double>(); };
  EXPECT_LE(error(logits(half)), 1.25 * error(expected("bf16.logits")));
}

TEST(VisionLayout, WindowsAndTheirBordersAreThoseOfTransformers) {
  const SafetensorsFile expected(std::filesystem::path(LRIAD_GOLDEN_DIR) / "tiny_qwen25vl" / "expected.safetensors");
  const at::Tensor grids = expected.tensor("image_grid_thw");
  std::vector<Grid> list;
  for (int64_t row = 0; row < grids.size(0); ++row)
    list.push_back({grids[row][0].item<int64_t>(), grids[row][1].item<int64_t>(), grids[row][2].item<int64_t>()});
  VisionConfig config;
  config.window_size = 112;
  const WindowOrder order = window_order(list, config);
  EXPECT_TRUE(at::equal(at::tensor(order.cells, at::kLong), expected.tensor("vision.window_index").to(at::kLong)));
  const at::Tensor borders = at::constant_pad_nd(at::tensor(order.lengths, at::kLong).cumsum(0), {1, 0});
  EXPECT_TRUE(at::equal(borders, expected.tensor("vision.window_borders").to(at::kLong)));
}

TEST(VisionLayout, EntriesOfThePositionTableAndTheirWeightsAreThoseOfTransformers) {
  const std::filesystem::path folder = std::filesystem::path(LRIAD_GOLDEN_DIR) / "tiny_qwen3vl";
  const SafetensorsFile expected(folder / "expected.safetensors");
  const at::Tensor grids = expected.tensor("image_grid_thw");
  std::vector<Grid> list;
  for (int64_t row = 0; row < grids.size(0); ++row)
    list.push_back({grids[row][0].item<int64_t>(), grids[row][1].item<int64_t>(), grids[row][2].item<int64_t>()});
  const TablePoints points = table_points(list, read_model_config(folder).vision, at::kFloat);
  EXPECT_TRUE(at::equal(points.entries_N4, expected.tensor("vision.entries")));
  EXPECT_TRUE(at::equal(points.weights_N4, expected.tensor("vision.weights")));
}

}  // namespace
}  // namespace lriad

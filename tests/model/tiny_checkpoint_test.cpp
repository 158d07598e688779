// The tiny random checkpoint in tests/golden with what the Hugging Face code computes for it, float32 on one thread.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lriad/core/files.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/load_model.h"
#include "lriad/model/model_files.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(LRIAD_GOLDEN_DIR) / "tiny_qwen2vl_flat_untied";

class TinyCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    expected_ = std::make_unique<SafetensorsFile>(kFolder / "expected.safetensors");
    model_ = load(at::kFloat);
    for (int64_t row = 0; row < 2; ++row) {
      const at::Tensor g = expected("image_grid_thw")[row];
      grids_.push_back({g[0].item<int64_t>(), g[1].item<int64_t>(), g[2].item<int64_t>()});
    }
  }

  static Qwen2Vl load(at::ScalarType dtype) { return load_model(kFolder, dtype, at::kCPU); }

  static void add_adapter(Qwen2Vl& model) { lriad::add_adapter(model, read_adapter(kFolder / "adapter"), 0.0); }

  at::Tensor expected(const std::string& name) const { return expected_->tensor(name); }

  /// Unpadded ids of a row of the batch.
  at::Tensor ids(int64_t row) const {
    return expected("input_ids")[row].masked_select(expected("attention_mask")[row].to(at::kBool));
  }

  at::Tensor positions(const at::Tensor& ids, std::span<const Grid> grids) const {
    return mrope_positions({ids.data_ptr<int64_t>(), static_cast<std::size_t>(ids.size(0))}, grids,
                           model_->config().image_token_id, 2);
  }

  /// Both prompts packed, no padding.
  PackedTokens packed(Qwen2Vl& model) {
    const at::Tensor a = ids(0), b = ids(1);
    const int64_t split = a.size(0), total = split + b.size(0);
    return {at::cat({a, b}),
            at::cat({positions(a, grids_), positions(b, {})}, 1),
            {{0, split, -1}, {split, total, -1}},
            model->image_features(expected("pixel_values"), grids_),
            {},
            {}};
  }

  at::Tensor expected_rows(const std::string& name) const {
    const at::Tensor keep = expected("attention_mask").to(at::kBool);
    return at::cat({expected(name)[0].index({keep[0]}), expected(name)[1].index({keep[1]})});
  }

  std::unique_ptr<SafetensorsFile> expected_;
  Qwen2Vl model_{nullptr};
  std::vector<Grid> grids_;
};

double gap(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST_F(TinyCheckpoint, IsLoadedWithoutAnotherNumberOfThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  load(at::kFloat);
  EXPECT_EQ(at::get_num_threads(), 3);
  at::set_num_threads(before);
}

TEST_F(TinyCheckpoint, VisionTowerMatchesLayerByLayer) {
  const at::Tensor pixels = expected("pixel_values");
  VisionTower tower(model_->config().vision, model_->config().text.hidden_size);
  const ModelFiles files(kFolder);
  const at::NoGradGuard no_grad;
  for (auto& item : tower->named_parameters()) item.value().copy_(files.tensor("model.visual." + item.key()));
  const at::Tensor embedded = tower->embed_patches(pixels);
  EXPECT_LE(gap(embedded, expected("vision.patch_embed")), 1e-5);
  EXPECT_LE(gap(tower->encode(embedded, grids_).last_ND, expected("vision.last_hidden")), 2e-5);
  EXPECT_LE(gap(model_->image_features(pixels, grids_), expected("vision.merged")), 2e-5);
}

TEST_F(TinyCheckpoint, PositionsOfAPromptWithTwoImagesAreExact) {
  const at::Tensor keep = expected("attention_mask")[0].to(at::kBool);
  EXPECT_TRUE(
      at::equal(positions(ids(0), grids_), expected("position_ids").select(1, 0).index({at::indexing::Slice(), keep})));
}

TEST_F(TinyCheckpoint, LogitsMatch) {
  const at::NoGradGuard no_grad;
  EXPECT_LE(gap(model_->logits(model_->hidden(packed(model_))), expected_rows("logits")), 2e-5);
}

TEST_F(TinyCheckpoint, LogitsWithAdapterMatchAndTheAdapterCanBeSwitchedOff) {
  add_adapter(model_);
  const at::NoGradGuard no_grad;
  EXPECT_LE(gap(model_->logits(model_->hidden(packed(model_))), expected_rows("lora.logits")), 2e-5);
  model_->enable_lora(false);
  EXPECT_LE(gap(model_->logits(model_->hidden(packed(model_))), expected_rows("logits")), 2e-5);
}

TEST_F(TinyCheckpoint, LossAndAdapterGradientsMatch) {
  add_adapter(model_);
  const at::Tensor logits = model_->logits(model_->hidden(packed(model_)));
  const at::Tensor keep = expected("attention_mask").to(at::kBool);
  const at::Tensor first = expected("labels")[0].index({keep[0]}), second = expected("labels")[1].index({keep[1]});
  const at::Tensor none = at::full({1}, -100, at::kLong);
  const at::Tensor shifted = at::cat({first.slice(0, 1), none, second.slice(0, 1), none});
  const at::Tensor loss = at::cross_entropy_loss(logits, shifted);
  EXPECT_NEAR(loss.item<double>(), expected("lora.loss").item<double>(), 1e-5);
  loss.backward();
  for (const auto& [name, parameter] : model_->lora_parameters()) {
    const std::string old = "base_model.model.model." + name.substr(std::string("model.language_model.").size());
    EXPECT_LE(gap(parameter.grad(), expected("lora.grad." + old)), 1e-5) << name;
  }
}

// Completions that share their prompt give what separate sequences give, values and gradients, in float64.
TEST_F(TinyCheckpoint, SharedPrefixEqualsSeparateSequencesInFloat64) {
  Qwen2Vl model = load(at::kDouble);
  add_adapter(model);
  const at::Tensor prompt = ids(0), prompt_at = positions(prompt, grids_);
  const at::Tensor features = model->image_features(expected("pixel_values"), grids_);
  const int64_t length = prompt.size(0), next = prompt_at.max().item<int64_t>() + 1;
  const std::vector<int64_t> sizes = {1, 7, 4};
  const at::Tensor text = at::arange(12, at::kLong) * 17 % 290 + 3;
  PackedTokens shared{prompt, prompt_at, {{0, length, -1}}, features, {}, {}};
  at::Tensor separate_sum = at::zeros({}, at::kDouble);
  std::vector<at::Tensor> separate;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    const at::Tensor tail = text.slice(0, begin, begin + size);
    const at::Tensor tail_at = (at::arange(size, at::kLong) + next).expand({3, size});
    const int64_t row = shared.ids_T.size(0);
    shared.ids_T = at::cat({shared.ids_T, tail});
    shared.positions_3T = at::cat({shared.positions_3T, tail_at}, 1);
    shared.spans.push_back({row, row + size, 0});
    const PackedTokens whole{
        at::cat({prompt, tail}), at::cat({prompt_at, tail_at}, 1), {{0, length + size, -1}}, features, {}, {}};
    separate.push_back(model->hidden(whole).slice(0, length));
    separate_sum = separate_sum + separate.back().square().sum();
    begin += size;
  }
  separate_sum.backward();
  std::map<std::string, at::Tensor> gradients;
  for (auto& [name, parameter] : model->lora_parameters()) {
    gradients[name] = parameter.grad().clone();
    parameter.grad().zero_();
  }
  const at::Tensor together = model->hidden(shared).slice(0, length);
  EXPECT_LE(gap(together, at::cat(separate)), 1e-10);
  together.square().sum().backward();
  for (const auto& [name, parameter] : model->lora_parameters()) {
    EXPECT_LE(gap(parameter.grad(), gradients.at(name)),
              1e-10 * std::max(1.0, gradients.at(name).abs().max().item<double>()));
  }
}

// Golden: scripts/golden/make_bf16.py; two right programs round differently, so the sizes of the errors are compared.
TEST_F(TinyCheckpoint, HalfPrecisionLogitsAreAsNearToFloat32AsThoseOfTransformers) {
  const auto theirs =
      nlohmann::json::parse(read_file("test", std::filesystem::path(LRIAD_GOLDEN_DIR) / "bf16_error.json"));
  Qwen2Vl half = load(at::kBFloat16);
  const at::NoGradGuard no_grad;
  const at::Tensor error = half->logits(half->hidden(packed(half))).to(at::kFloat) - expected_rows("logits");
  EXPECT_LE(error.square().mean().sqrt().item<double>(), 1.25 * theirs["rms"].get<double>());
  EXPECT_LE(error.abs().mean().item<double>(), 1.25 * theirs["mean"].get<double>());
}

}  // namespace
}  // namespace lriad

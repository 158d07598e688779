// Packed passes that run their images through a vision tower with branches.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "lriad/grpo/token_logprobs.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

constexpr double kTowerTemperature = 0.8;

ModelConfig config_of(const std::string& family) {
  ModelConfig config = tiny_config();
  VisionConfig& vision = config.vision;
  vision.depth = 2;
  if (family == "windows") {
    vision.norm = NormKind::kRmsNorm;
    vision.mlp = VisionMlpKind::kSiluGate;
    vision.window_size = 8;  // 2 x 2 cells
    vision.fullatt_block_indexes = {1};
  }
  if (family == "deepstack") {
    vision.mlp = VisionMlpKind::kTanhGelu;
    vision.patch_bias = true;
    vision.merger_names = {"norm", "linear_fc1", "linear_fc2"};
    vision.num_position_embeddings = 16;
    vision.deepstack_visual_indexes = {0};
  }
  return config;
}

class TowerPasses : public ::testing::TestWithParam<const char*> {
 protected:
  /// Branches in every layer of the tower and in the decoder; three groups, the second of two images.
  void use(double dropout) {
    model_ = tiny_model(config_of(GetParam()), 15);
    add_tiny_adapter(model_, 16, dropout, {});
    const std::vector<std::vector<Grid>> images = {{{1, 4, 6}}, {{1, 2, 4}, {1, 6, 2}}, {{1, 6, 6}}};
    for (std::size_t k = 0; k < images.size(); ++k) {
      const GenerationPrompt prompt = tiny_prompt(model_, 5, images[k], 100 + k);
      Group group = tiny_group(prompt, {3, 5}, 200 + k);
      at::Generator generator = seeded(300 + k);
      const at::Tensor pixels =
          normal({group.features_ID.size(0) * 4 * model_->config().vision.patch_dim()}, generator).to(at::kFloat);
      group.patches.assign(pixels.data_ptr<float>(), pixels.data_ptr<float>() + pixels.numel());
      groups_.push_back(std::move(group));
    }
  }

  /// The groups with features that the tower computed before, without dropout.
  std::vector<Group> with_features() {
    const at::NoGradGuard no_grad;
    const bool trains = model_->is_training();
    model_->eval();
    std::vector<Group> ready = groups_;
    for (Group& group : ready) {
      const at::Tensor pixels = at::tensor(group.patches, at::kDouble).view({-1, model_->config().vision.patch_dim()});
      group.features_ID = model_->image_features(pixels, group.grids);
      group.patches.clear();
    }
    model_->train(trains);
    return ready;
  }

  PackedGroups packed(std::span<const Group> groups, Prefix prefix) {
    return pack_groups(addresses_of(groups), model_->config(), prefix, at::kCPU);
  }
  at::Tensor logprobs(std::span<const Group> groups, Prefix prefix = Prefix::kShared) {
    return token_logprobs(model_, packed(groups, prefix), kTowerTemperature).logp_M;
  }
  static at::Tensor weights(const at::Tensor& logp_M) { return at::linspace(-1, 2, logp_M.size(0), logp_M.options()); }

  std::map<std::string, at::Tensor> gradients() {
    const PackedGroups all = packed(groups_, Prefix::kShared);
    const at::Tensor weights_M = weights(at::empty(all.targets_M.sizes(), at::kDouble));
    token_logprobs(model_, all, kTowerTemperature, [&](const at::Tensor& logp_C, int64_t begin) {
      return weights_M.slice(0, begin, begin + logp_C.size(0));
    }).backward();
    return take_gradients(model_);
  }

  Qwen2Vl model_{nullptr};
  std::vector<Group> groups_;
};

INSTANTIATE_TEST_SUITE_P(Of, TowerPasses, ::testing::Values("plain", "windows", "deepstack"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(TowerPasses, GiveWhatTheFeaturesOfTheImagesGive) {
  use(0);
  const std::vector<Group> seen = with_features();
  for (const Prefix prefix : {Prefix::kShared, Prefix::kOwn})
    EXPECT_LE(largest_gap(logprobs(groups_, prefix), logprobs(seen, prefix)), 1e-12);
}

TEST_P(TowerPasses, MeetTheSameDropoutWhereverAGroupIsPacked) {
  use(0.4);
  const at::Tensor calm = logprobs(groups_);
  model_->train();
  const at::Tensor all = logprobs(groups_);
  std::vector<at::Tensor> alone;
  for (const Group& group : groups_) alone.push_back(logprobs({&group, 1}));
  EXPECT_LE(largest_gap(at::cat(alone), all), 1e-12);
  EXPECT_GT(largest_gap(calm, all), 1e-3);
  // Nothing but the masks of the tower tells this pass from one with ready features.
  EXPECT_GT(largest_gap(logprobs(with_features()), all), 1e-3);
  for (Group& group : groups_) group.dropout_seed += 1;
  EXPECT_GT(largest_gap(logprobs(groups_), all), 1e-3);
}

TEST_P(TowerPasses, GradientsOfEveryBranchAreFiniteDifferences) {
  use(0.2);
  model_->train();
  const auto value = [&] {
    const at::Tensor logp_M = logprobs(groups_);
    return (logp_M * weights(logp_M)).sum().item<double>();
  };
  const auto plain = gradients();
  int64_t in_tower = 0;
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : model_->lora_parameters()) {
    if (!name.starts_with("model.visual.")) continue;
    ++in_tower;
    at::Generator generator = seeded(7);
    const at::Tensor along = normal(parameter.sizes(), generator), before = parameter.clone();
    constexpr double kStep = 1e-5;
    at::Tensor moved = parameter;
    moved.copy_(before + kStep * along);
    const double above = value();
    moved.copy_(before - kStep * along);
    const double below = value(), expected = (above - below) / (2 * kStep);
    moved.copy_(before);
    EXPECT_NEAR((plain.at(name) * along).sum().item<double>(), expected, 1e-6 * std::max(1.0, std::abs(expected)))
        << name;
    EXPECT_GT(std::abs(expected), 1e-6) << name;
  }
  const int64_t layers = GetParam() == std::string("windows") ? 5 : 4;
  EXPECT_EQ(in_tower, 2 * (1 + 2 * layers + (GetParam() == std::string("deepstack") ? 4 : 2)));
}

TEST_P(TowerPasses, RecomputedLayersGiveTheSame) {
  use(0.2);
  model_->train();
  const auto plain = gradients();
  model_->set_gradient_checkpointing(true);
  for (const auto& [name, gradient] : gradients()) EXPECT_LE(largest_gap(gradient, plain.at(name)), 1e-12) << name;
}

TEST_P(TowerPasses, WithoutTheAdapterSeeWithTheFrozenTower) {
  use(0);
  const at::Tensor adapted = logprobs(groups_);
  EXPECT_FALSE(adapted.requires_grad());
  model_->enable_lora(false);
  EXPECT_GT(largest_gap(logprobs(groups_), adapted), 1e-3);
  EXPECT_LE(largest_gap(logprobs(groups_), logprobs(with_features())), 1e-12);
}

}  // namespace
}  // namespace lriad

// Packed passes of tiny random models against separate full passes.
#include "lriad/grpo/token_logprobs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/tiny_model.h"

namespace lriad {
namespace {

constexpr double kTemperature = 0.8;
const std::vector<std::string> kAllLinears = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                              "gate_proj", "up_proj", "down_proj"};

struct Setting {
  std::string name;
  TinyShape shape;
  std::vector<std::vector<int64_t>> lengths;  ///< of the completions of each group
};

void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

std::vector<Group> groups_of(const Setting& setting, Qwen2Vl& model) {
  const std::vector<std::vector<Grid>> images = {
      {{1, 4, 4}}, {}, {{1, 2, 4}, {1, 2, 2}}, {{1, 2, 2}, {1, 6, 2}, {1, 4, 2}}};
  std::vector<Group> groups;
  for (std::size_t k = 0; k < setting.lengths.size(); ++k) {
    const auto number = static_cast<int64_t>(k);
    const GenerationPrompt prompt = tiny_prompt(model, 3 + 4 * ((number * 5) % 3), images[k % 4], 100 + k);
    groups.push_back(tiny_group(prompt, setting.lengths[k], 200 + k));
  }
  return groups;
}

at::Tensor packed_logprobs(Qwen2Vl& model, std::span<const Group> groups, Prefix prefix) {
  return token_logprobs(model, pack_groups(addresses_of(groups), model->config(), prefix, at::kCPU), kTemperature)
      .logp_M;
}

/// Log-probabilities by plain log softmax, each completion with its prompt in a pass of its own.
at::Tensor separate_logprobs(Qwen2Vl& model, const std::vector<Group>& groups) {
  std::vector<at::Tensor> parts;
  for (const Group& group : groups) {
    for (const auto& completion : group.completions) {
      const auto prompt = std::ssize(group.prompt_ids), count = completion.length();
      const at::Tensor prompt_at = mrope_positions(group.prompt_ids, group.grids, model->config().image_token_id, 2);
      const at::Tensor after = at::arange(count, at::kLong) + prompt_at.max() + 1,
                       targets = at::tensor(completion.ids, at::kLong);
      const PackedTokens whole{at::cat({at::tensor(group.prompt_ids, at::kLong), targets}),
                               at::cat({prompt_at, after.expand({3, count})}, 1),
                               {{0, prompt + count, -1}},
                               group.features_ID,
                               {},
                               {}};
      const at::Tensor logits = model->logits(model->hidden(whole)).slice(0, prompt - 1, prompt + count - 1);
      parts.push_back((logits / kTemperature).log_softmax(1).gather(1, targets.unsqueeze(1)).squeeze(1));
    }
  }
  return at::cat(parts);
}

struct Result {
  at::Tensor logp_M;
  std::map<std::string, at::Tensor> gradients;
};

at::Tensor unequal_weights(const at::Tensor& logp_M) {
  return at::linspace(-1, 2, logp_M.size(0), logp_M.options().requires_grad(false));
}

/// Log-probabilities, and the adapter's gradients of their sum with unequal weights.
Result separate_passes(Qwen2Vl& model, const std::vector<Group>& groups) {
  const at::Tensor logp_M = separate_logprobs(model, groups);
  (logp_M * unequal_weights(logp_M)).sum().backward();
  return {logp_M.detach(), take_gradients(model)};
}

Result packed_pass(Qwen2Vl& model, std::span<const Group> groups, Prefix prefix) {
  const PackedGroups packed = pack_groups(addresses_of(groups), model->config(), prefix, at::kCPU);
  const at::Tensor weights_M = unequal_weights(at::empty(packed.targets_M.sizes(), model->head().options()));
  TokenLogprobs now = token_logprobs(model, packed, kTemperature, [&](const at::Tensor& logp_C, int64_t begin) {
    return weights_M.slice(0, begin, begin + logp_C.size(0));
  });
  now.backward();
  return {now.logp_M, take_gradients(model)};
}

void expect_near(const Result& a, const Result& b, double tolerance) {
  EXPECT_LE(largest_gap(a.logp_M, b.logp_M), tolerance);
  for (const auto& [name, gradient] : a.gradients) {
    const double size = std::max(1.0, gradient.abs().max().item<double>());
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
    EXPECT_LE(largest_gap(gradient, b.gradients.at(name)), tolerance * size) << name;
  }
}

class PackedPasses : public ::testing::TestWithParam<Setting> {};
INSTANTIATE_TEST_SUITE_P(
    Shapes, PackedPasses,
    ::testing::Values(Setting{"mixed", {4, 2, false}, {{5, 1, 9}, {3, 3}, {1, 12, 2, 7}, {6}}},
                      Setting{"tied", {4, 2, true}, {{2, 8}, {7, 1, 1}, {4}}},
                      Setting{"one key head a query head", {3, 3, false}, {{4, 6}, {1, 2}}},
                      Setting{"one key head in all", {6, 1, false}, {{4, 6}, {1, 2}, {10, 3, 3}}},
                      Setting{"only completions of one token", {4, 2, false}, {{1, 1, 1}, {1}, {1, 1}}},
                      Setting{"equal lengths", {4, 2, false}, {{4, 4, 4}, {4, 4, 4}}},
                      Setting{"one prompt", {4, 2, false}, {{3, 9, 5, 1}}},
                      Setting{"one completion", {4, 2, false}, {{6}}}),
    [](const auto& one) {
      std::string name = one.param.name;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST_P(PackedPasses, SharedAndOwnPromptsEqualSeparatePassesInFloat64) {
  Qwen2Vl model = tiny_model(tiny_config(GetParam().shape), 5);
  add_tiny_adapter(model, 6, 0, kAllLinears);
  const auto groups = groups_of(GetParam(), model);
  const Result separate = separate_passes(model, groups);
  expect_near(separate, packed_pass(model, groups, Prefix::kShared), 1e-10);
  expect_near(separate, packed_pass(model, groups, Prefix::kOwn), 1e-10);
}

TEST_P(PackedPasses, SharedEqualsOwnPromptsInFloat32) {
  Qwen2Vl model = tiny_model(tiny_config(GetParam().shape), 5, at::kFloat);
  add_tiny_adapter(model, 6);
  const auto groups = groups_of(GetParam(), model);
  const Result own = packed_pass(model, groups, Prefix::kOwn);
  expect_near(own, packed_pass(model, groups, Prefix::kShared), 1e-5);
}

TEST_P(PackedPasses, CheckpointedLayersGiveTheSameWithDropout) {
  Qwen2Vl model = tiny_model(tiny_config(GetParam().shape), 5);
  add_tiny_adapter(model, 6, /*dropout=*/0.3, kAllLinears);
  const auto groups = groups_of(GetParam(), model);
  model->train();
  const Result plain = packed_pass(model, groups, Prefix::kShared);
  model->set_gradient_checkpointing(true);
  expect_near(plain, packed_pass(model, groups, Prefix::kShared), 1e-12);
}

TEST_P(PackedPasses, RowsAreCountedBeforePacking) {
  Qwen2Vl model = tiny_model(tiny_config(GetParam().shape), 5);
  for (const Group& group : groups_of(GetParam(), model)) {
    for (const Prefix prefix : {Prefix::kShared, Prefix::kOwn}) {
      EXPECT_EQ(pack_groups(addresses_of({&group, 1}), model->config(), prefix, at::kCPU).num_rows,
                packed_rows(group, prefix));
    }
  }
}

class TokenLogprobsTest : public ::testing::Test {
 protected:
  void use(const TinyShape& shape, double dropout) {
    model_ = tiny_model(tiny_config(shape), 15);
    add_tiny_adapter(model_, 16, dropout, kAllLinears);
    groups_ = groups_of({"", shape, {{5, 1, 4}, {3, 2}, {2, 7, 7}}}, model_);
  }
  std::vector<Group> chosen(const std::vector<std::size_t>& numbers) const {
    std::vector<Group> result;
    for (const std::size_t number : numbers) result.push_back(groups_[number]);
    return result;
  }
  at::Tensor of(const std::vector<std::size_t>& numbers, Prefix prefix = Prefix::kShared) {
    return packed_logprobs(model_, chosen(numbers), prefix);
  }

  Qwen2Vl model_{nullptr};
  std::vector<Group> groups_;
};

TEST_F(TokenLogprobsTest, AGroupMeetsTheSameDropoutWhereverItIsPacked) {
  use({}, 0.4);
  const at::Tensor calm = of({0, 1, 2});
  model_->train();
  for (const Prefix prefix : {Prefix::kShared, Prefix::kOwn}) {
    const at::Tensor all = of({0, 1, 2}, prefix);
    EXPECT_LE(largest_gap(at::cat({of({0}, prefix), of({1}, prefix), of({2}, prefix)}), all), 1e-12);
    const at::Tensor turned = of({2, 0, 1}, prefix);
    EXPECT_LE(largest_gap(at::cat({turned.slice(0, 16), turned.slice(0, 0, 16)}), all), 1e-12);
    EXPECT_GT(largest_gap(calm, all), 1e-3);
  }
  model_->eval();
  EXPECT_TRUE(at::equal(of({0, 1, 2}), calm));
}

TEST_F(TokenLogprobsTest, AnotherDropoutSeedGivesOtherMasks) {
  use({}, 0.4);
  model_->train();
  const at::Tensor before = of({0});
  EXPECT_TRUE(at::equal(of({0}), before));
  groups_[0].dropout_seed += 1;
  EXPECT_GT(largest_gap(of({0}), before), 1e-3);
}

/// Derivative of value() by element i of `input`, by central differences.
template <class Value>
double numeric_gradient(const at::Tensor& input, int64_t i, const Value& value) {
  const at::NoGradGuard no_grad;
  const at::Tensor element = input.detach().view({-1})[i];
  const double step = 1e-5, before = element.item<double>();
  element.fill_(before + step);
  const double above = value();
  element.fill_(before - step);
  const double below = value();
  element.fill_(before);
  return (above - below) / (2 * step);
}

TEST_F(TokenLogprobsTest, AdapterGradientsAreFiniteDifferences) {
  use({4, 2, true}, 0.2);
  model_->train();
  const auto value = [&] {
    const at::Tensor logp_M = of({0, 1, 2});
    return (logp_M * unequal_weights(logp_M)).sum().item<double>();
  };
  const auto gradients = packed_pass(model_, groups_, Prefix::kShared).gradients;
  ASSERT_EQ(gradients.size(), 28u);
  for (const auto& [name, parameter] : model_->lora_parameters()) {
    for (const int64_t i : {int64_t{1}, parameter.numel() / 2, parameter.numel() - 2}) {
      const double expected = numeric_gradient(parameter, i, value);
      EXPECT_NEAR(gradients.at(name).view({-1})[i].item<double>(), expected, 1e-7 * std::max(1.0, std::abs(expected)))
          << name;
    }
  }
}

TEST_F(TokenLogprobsTest, ATrainedHeadAndEmbeddingGetTheirGradients) {
  for (const bool tied : {false, true}) {
    use({4, 2, tied}, 0);
    at::Tensor head = model_->head();
    head.requires_grad_(true);
    for (const bool checkpointed : {false, true}) {
      model_->set_gradient_checkpointing(checkpointed);
      head.mutable_grad() = at::Tensor();
      const PackedGroups packed =
          pack_groups(addresses_of(chosen({0, 2})), model_->config(), Prefix::kShared, at::kCPU);
      token_logprobs(model_, packed, kTemperature, [](const at::Tensor& logp_C, int64_t) {
        return 2 * logp_C;
      }).backward();
      const at::Tensor gradient = head.grad().clone().view({-1});
      for (int64_t i = 3; i < head.numel(); i += 97) {
        const double expected = numeric_gradient(head, i, [&] { return of({0, 2}).square().sum().item<double>(); });
        EXPECT_NEAR(gradient[i].item<double>(), expected, 2e-7 * std::max(1.0, std::abs(expected))) << tied << " " << i;
      }
    }
  }
}

// A and B are identities, the scaling is 1 and the base weight 0, so that the layer computes dropout(x).
TEST(LoraDropout, KeepsTheMeanDropsTheShareAndIsOffInEvaluation) {
  constexpr int64_t kSize = 16, kRows = 20000;
  Linear linear(kSize, kSize, /*bias=*/false);
  linear->to(at::kDouble);
  linear->add_lora(kSize, /*scaling=*/1, /*dropout=*/0.1, at::kDouble);
  {
    const at::NoGradGuard no_grad;
    linear->weight.zero_();
    linear->lora_A.copy_(at::eye(kSize, at::kDouble));
    linear->lora_B.copy_(at::eye(kSize, at::kDouble));
  }
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::ones({kRows, kSize}, at::kDouble);
  const at::Tensor keys = at::arange(kRows);
  linear->set_dropout(keys, 1);
  const at::Tensor y = linear(x);
  EXPECT_TRUE(((y == 0) | (y == 1 / 0.9)).all().item<bool>());
  EXPECT_NEAR((y == 0).to(at::kDouble).mean().item<double>(), 0.1, 0.003);  // five standard deviations
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.003);
  linear->set_dropout(keys, 2);
  EXPECT_NEAR((linear(x) == y).to(at::kDouble).mean().item<double>(), 0.82, 0.01);
  linear->eval();
  EXPECT_TRUE(at::equal(linear(x), x));
}

}  // namespace
}  // namespace lriad

// Rollouts of tiny random models in float64.
#include "lriad/generation/generate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "support/tiny_model.h"

namespace lriad {
namespace {

using Rows = std::vector<Completion>;

/// Prompts of different lengths with 0 to 3 images.
std::vector<GenerationPrompt> mixed_prompts(Qwen2Vl& model) {
  return {tiny_prompt(model, 9, {{1, 4, 4}}, 1), tiny_prompt(model, 3, {}, 2),
          tiny_prompt(model, 5, {{1, 2, 4}, {1, 6, 2}, {1, 2, 2}}, 3),
          tiny_prompt(model, 14, {{1, 2, 2}, {1, 4, 2}}, 4)};
}

GenerationSettings some_settings() {
  GenerationSettings settings;
  settings.sampler.temperature = 0.9;
  settings.num_generations = 3;
  settings.max_new_tokens = 14;
  settings.seed = 77;
  settings.answer_tokens = {5, 6};
  return settings;
}

/// A model whose completions end after five tokens on average; image tokens end them too, so none has one inside.
ModelConfig config_that_ends(const TinyShape& shape = {}) {
  ModelConfig config = tiny_config(shape);
  config.eos_token_ids = {44, 45, 40, 41, 0, 1, 2, 3, 4, 7};
  return config;
}

Group group_of(const GenerationPrompt& prompt, const Rows& rows) {
  Group group;
  group.prompt_ids = prompt.ids;
  group.grids = prompt.grids;
  group.features_ID = prompt.features_MD;
  for (const Completion& row : rows) group.completions.emplace_back(row);
  return group;
}

at::Tensor traced(const Rows& rows, double TokenTrace::*number) {
  std::vector<double> values;
  for (const Completion& row : rows) {
    for (const TokenTrace& trace : row.trace) values.push_back(trace.*number);
  }
  return at::tensor(values, at::kDouble);
}

void expect_same(const Completion& a, const Completion& b) {
  ASSERT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.truncated, b.truncated);
  for (std::size_t t = 0; t < a.trace.size(); ++t) {
    EXPECT_NEAR(a.trace[t].logp, b.trace[t].logp, 1e-12);
    EXPECT_NEAR(a.trace[t].sampling_logp, b.trace[t].sampling_logp, 1e-12);
    EXPECT_NEAR(a.trace[t].log_sum, b.trace[t].log_sum, 1e-12);
  }
}

class RolloutShapes : public ::testing::TestWithParam<TinyShape> {};
INSTANTIATE_TEST_SUITE_P(Heads, RolloutShapes,
                         ::testing::Values(TinyShape{4, 4, false}, TinyShape{4, 2, true}, TinyShape{6, 2, false},
                                           TinyShape{4, 1, true}));

TEST_P(RolloutShapes, DecodingOverTheCacheEqualsAFullPassTokenByToken) {
  Qwen2Vl model = tiny_model(config_that_ends(GetParam()), 11);
  add_tiny_adapter(model, 12);
  const auto prompts = mixed_prompts(model);
  const auto rows = generate(model, prompts, some_settings());
  const at::NoGradGuard no_grad;
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    const Group group = group_of(prompts[j], rows[j]);
    const PackedGroups packed = pack_groups(addresses_of({&group, 1}), model->config(), Prefix::kOwn, at::kCPU);
    EXPECT_LE(largest_gap(token_logprobs(model, packed, 1).logp_M, traced(rows[j], &TokenTrace::logp)), 1e-10);
    EXPECT_LE(largest_gap(token_logprobs(model, packed, 0.9).logp_M, traced(rows[j], &TokenTrace::sampling_logp)),
              1e-10);
    const at::Tensor logits = model->logits(model->hidden(packed.tokens).index_select(0, packed.rows_M));
    EXPECT_LE(largest_gap(logits.select(1, 5), traced(rows[j], &TokenTrace::answer_logit_a)), 1e-10);
    EXPECT_LE(largest_gap(logits.select(1, 6), traced(rows[j], &TokenTrace::answer_logit_b)), 1e-10);
    EXPECT_LE(largest_gap(logits.logsumexp(1), traced(rows[j], &TokenTrace::log_sum)), 1e-10);
  }
}

// Completions end at different lengths, so the batch shrinks now and then; that of a single completion does not.
TEST_P(RolloutShapes, ARowDependsOnNothingElseInTheBatch) {
  Qwen2Vl model = tiny_model(config_that_ends(GetParam()), 21);
  const auto prompts = mixed_prompts(model);
  GenerationSettings settings = some_settings();
  settings.num_generations = 6;
  const auto together = generate(model, prompts, settings);
  const auto turned = generate(model, {prompts[2], prompts[0], prompts[3], prompts[1]}, settings);
  const std::size_t index_in_turned[] = {1, 3, 0, 2};
  settings.num_generations = 1;
  std::set<std::size_t> lengths;
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    for (std::size_t g = 0; g < 6; ++g) {
      GenerationPrompt alone = prompts[j];
      alone.first_generation = static_cast<uint32_t>(g);
      expect_same(together[j][g], generate(model, {alone}, settings)[0][0]);
      expect_same(together[j][g], turned[index_in_turned[j]][g]);
      lengths.insert(together[j][g].ids.size());
    }
  }
  EXPECT_GE(lengths.size(), 4u);
}

TEST(Rollout, StepPromptAndGenerationEachGiveOtherNumbers) {
  Qwen2Vl model = tiny_model(tiny_config(), 22);
  GenerationPrompt prompt = tiny_prompt(model, 6, {}, 1);
  GenerationSettings settings = some_settings();
  settings.num_generations = 1;
  std::set<std::vector<int64_t>> texts = {generate(model, {prompt}, settings)[0][0].ids};
  const auto add = [&](GenerationPrompt other) { texts.insert(generate(model, {other}, settings)[0][0].ids); };
  GenerationPrompt other_step = prompt, other_prompt = prompt, other_generation = prompt;
  ++other_step.step, ++other_prompt.prompt, ++other_generation.first_generation;
  add(other_step), add(other_prompt), add(other_generation);
  ++settings.seed;
  add(prompt);
  EXPECT_EQ(texts.size(), 5u);
}

TEST(Rollout, RowsEndAtAnyEndTokenOrAtTheLimit) {
  Qwen2Vl model = tiny_model(config_that_ends(), 31);
  const std::vector<int64_t> eos = model->config().eos_token_ids;
  const auto ends = [&](int64_t id) { return std::find(eos.begin(), eos.end(), id) != eos.end(); };
  GenerationSettings settings = some_settings();
  settings.max_new_tokens = 6;
  int64_t truncated = 0;
  std::set<int64_t> last;
  for (const Rows& rows : generate(model, mixed_prompts(model), settings)) {
    for (const Completion& row : rows) {
      ASSERT_FALSE(row.ids.empty());
      EXPECT_EQ(row.ids.size(), row.trace.size());
      EXPECT_TRUE(std::none_of(row.ids.begin(), row.ids.end() - 1, ends));
      EXPECT_EQ(row.truncated, !ends(row.ids.back()));
      EXPECT_TRUE(row.ids.size() == 6 || !row.truncated);
      truncated += row.truncated;
      if (!row.truncated) last.insert(row.ids.back());
    }
  }
  EXPECT_GE(truncated, 1);
  EXPECT_GE(last.size(), 2u);
}

TEST(Rollout, AllRowsMayEndAtTheFirstTokenAndTheLimitMayBeOne) {
  ModelConfig config = tiny_config();
  config.eos_token_ids.resize(48);
  std::iota(config.eos_token_ids.begin(), config.eos_token_ids.end(), 0);
  Qwen2Vl ending = tiny_model(config, 41), model = tiny_model(tiny_config(), 41);
  GenerationSettings settings = some_settings();
  for (const Rows& rows : generate(ending, mixed_prompts(ending), settings)) {
    for (const Completion& row : rows) EXPECT_TRUE(row.ids.size() == 1 && !row.truncated);
  }
  settings.max_new_tokens = 1;
  for (const Rows& rows : generate(model, mixed_prompts(model), settings)) {
    for (const Completion& row : rows) EXPECT_EQ(row.ids.size(), 1u);
  }
  EXPECT_TRUE(generate(model, {}, settings).empty());
}

TEST(Rollout, BannedTokensAreNeverSampledAndLeaveTheOtherNumbersAlone) {
  Qwen2Vl model = tiny_model(tiny_config(), 51);
  GenerationSettings settings = some_settings();
  for (int64_t id = 0; id < 48; ++id) {
    if (id != 10 && id != 20 && id != 30) settings.sampler.banned.push_back(id);
  }
  const auto prompts = mixed_prompts(model);
  const auto rows = generate(model, prompts, settings);
  const at::NoGradGuard no_grad;
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    for (const Completion& row : rows[j]) {
      for (const int64_t id : row.ids) EXPECT_TRUE(id == 10 || id == 20 || id == 30) << id;
    }
    const Group group = group_of(prompts[j], rows[j]);
    const PackedGroups packed = pack_groups(addresses_of({&group, 1}), model->config(), Prefix::kOwn, at::kCPU);
    EXPECT_LE(largest_gap(token_logprobs(model, packed, 1).logp_M, traced(rows[j], &TokenTrace::logp)), 1e-10);
    EXPECT_TRUE((traced(rows[j], &TokenTrace::sampling_logp) > traced(rows[j], &TokenTrace::logp)).all().item<bool>());
  }
}

TEST(Rollout, GreedyTakesTheLowestIdAmongEqualScores) {
  Qwen2Vl model = tiny_model(tiny_config(), 61);
  {
    const at::NoGradGuard no_grad;
    model->head().fill_(0);
  }
  GenerationSettings settings = some_settings();
  settings.sampler.temperature = 0;
  const auto first_ids = [&] { return generate(model, {tiny_prompt(model, 4, {}, 1)}, settings)[0][0].ids; };
  EXPECT_EQ(first_ids(), std::vector<int64_t>(14, 0));
  settings.sampler.banned = {0, 1};
  EXPECT_EQ(first_ids(), std::vector<int64_t>(14, 2));
}

TEST(Rollout, GreedyTakesTheLikeliestTokenOfAFullPass) {
  Qwen2Vl model = tiny_model(config_that_ends(), 62);
  GenerationSettings settings = some_settings();
  settings.sampler.temperature = 0;
  settings.num_generations = 1;
  const auto prompts = mixed_prompts(model);
  const auto rows = generate(model, prompts, settings);
  const at::NoGradGuard no_grad;
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    const Group group = group_of(prompts[j], rows[j]);
    const PackedGroups packed = pack_groups(addresses_of({&group, 1}), model->config(), Prefix::kOwn, at::kCPU);
    const at::Tensor logits = model->logits(model->hidden(packed.tokens).index_select(0, packed.rows_M));
    EXPECT_TRUE(at::equal(logits.argmax(1), packed.targets_M));
  }
}

TEST(Rollout, AllowedTokensAreWhatCouldBeSampledAndRenormaliseTheLogProbabilities) {
  Qwen2Vl model = tiny_model(config_that_ends(), 71);
  GenerationSettings settings = some_settings();
  settings.sampler = {0.8, 9, 0.85, 0.02, {6, 40, 41, 42, 43}};
  settings.keep_allowed = true;
  const auto prompts = mixed_prompts(model);
  const auto rows = generate(model, prompts, settings);
  const at::NoGradGuard no_grad;
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    const Group group = group_of(prompts[j], rows[j]);
    const PackedGroups packed = pack_groups(addresses_of({&group, 1}), model->config(), Prefix::kShared, at::kCPU);
    ASSERT_EQ(packed.allowed_MV.size(0), packed.targets_M.size(0));
    EXPECT_TRUE(packed.allowed_MV.gather(1, packed.targets_M.unsqueeze(1)).all().item<bool>());
    EXPECT_FALSE(packed.allowed_MV.slice(1, 40, 44).any().item<bool>());
    EXPECT_LE(packed.allowed_MV.sum(1).max().item<int64_t>(), 9);
    const TokenLogprobs again = token_logprobs(model, packed, 0.8);
    EXPECT_LE(largest_gap(again.logp_M, traced(rows[j], &TokenTrace::sampling_logp)), 1e-10);
    EXPECT_LE(again.entropy_M.max().item<double>(), std::log(9.0));
  }
}

TEST(Rollout, LeavesTheModelInItsModeAndIgnoresDropout) {
  Qwen2Vl model = tiny_model(tiny_config(), 81);
  add_tiny_adapter(model, 82, /*dropout=*/0.5);
  const auto prompts = mixed_prompts(model);
  const auto calm = generate(model, prompts, some_settings());
  model->train();
  model->set_dropout(at::arange(3));
  const auto again = generate(model, prompts, some_settings());
  EXPECT_TRUE(model->is_training());
  for (std::size_t j = 0; j < prompts.size(); ++j) {
    for (std::size_t g = 0; g < 3; ++g) expect_same(calm[j][g], again[j][g]);
  }
}

}  // namespace
}  // namespace lriad

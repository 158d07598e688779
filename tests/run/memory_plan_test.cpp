#include "lriad/run/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace lriad {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kGiB = 1ll << 30;

/// The paper's run: Qwen2-VL-7B on images of 512 tokens.
PlanInput paper_run(int64_t memory_bytes) {
  PlanInput input;
  input.model.text = {152064, 3584, 18944, 28, 28, 4, 128, 1e-6, 1e6, {16, 24, 24}};
  input.config.model.dtype = Dtype::kBfloat16;
  input.config.model.vision_cache.memory_mb = 0;
  input.config.rollout.num_generations = 8;
  input.config.rollout.max_completion_length = 256;
  input.config.train.per_device_train_batch_size = 1;
  input.config.train.gradient_accumulation_steps = 2;
  input.prompt_tokens = 600;
  input.image_patches = 2048;
  input.memory_bytes = memory_bytes;
  input.on_cpu = false;
  return input;
}

TEST(MemoryPlan, ThePapersRunFitsAnA40WithoutGradientCheckpointing) {
  const MemoryPlan plan = plan_memory(paper_run(45 * kGiB));
  EXPECT_TRUE(plan.fits());
  EXPECT_FALSE(plan.gradient_checkpointing);
  EXPECT_EQ(plan.rows_shared, 2 * (600 + 8 * 255));
  EXPECT_EQ(plan.rows_unshared, 2 * 8 * (600 + 255));
  EXPECT_EQ(plan.rows_per_pass, plan.rows_shared);
  EXPECT_GT(plan.peak(), 30 * kGiB);
  EXPECT_LT(plan.peak(), 38 * kGiB);
}

TEST(MemoryPlan, CountsTheImagesThatAGpuTakesTogetherWithoutACache) {
  const auto tower = [](int64_t prompts, int64_t memory_mb, bool on_cpu) {
    PlanInput input = paper_run(1000 * kGiB);
    input.config.train.gradient_accumulation_steps = prompts;
    input.config.model.vision_cache.memory_mb = memory_mb;
    input.on_cpu = on_cpu;
    const MemoryPlan plan = plan_memory(input);
    EXPECT_EQ(plan.phases.front().name, "vision");
    return static_cast<double>(plan.phases.front().bytes());
  };
  const double one = tower(1, 0, false);
  EXPECT_EQ(tower(4, 0, false), 4 * one);
  EXPECT_EQ(tower(64, 0, false), 8 * one);  // 16,384 patches
  EXPECT_EQ(tower(4, 1, false), one);
  EXPECT_EQ(tower(4, 0, true), one);
}

TEST(MemoryPlan, TakesFewerLogitsAtOnceBeforeItCutsAPass) {
  PlanInput input = paper_run(1000 * kGiB);
  input.model.text.num_hidden_layers = 1;  // so that the output head needs most
  input.model.text.intermediate_size = 1024;
  input.model.text.num_attention_heads = 4;
  input.config.rollout.num_generations = 2;
  input.config.rollout.max_completion_length = 1024;
  const MemoryPlan wide = plan_memory(input);
  EXPECT_EQ(wide.logits_at_once, 1 << 26);
  input.memory_bytes = wide.peak() - 1;
  const MemoryPlan narrow = plan_memory(input);
  EXPECT_TRUE(narrow.fits());
  EXPECT_LT(narrow.logits_at_once, 1 << 26);
  EXPECT_EQ(narrow.rows_per_pass, wide.rows_per_pass);
  EXPECT_FALSE(narrow.gradient_checkpointing);
}

TEST(MemoryPlan, CutsPassesFirstThenTurnsOnGradientCheckpointing) {
  const MemoryPlan whole = plan_memory(paper_run(1000 * kGiB));
  MemoryPlan cut = whole, again = whole;
  while (!again.gradient_checkpointing) {
    cut = again;
    again = plan_memory(paper_run(cut.peak() - 1));
  }
  EXPECT_EQ(cut.rows_per_pass, whole.rows_per_pass / 2);
  EXPECT_TRUE(again.fits());
  EXPECT_TRUE(again.gradient_checkpointing);
  EXPECT_EQ(again.rows_per_pass, whole.rows_per_pass);
  PlanInput never = paper_run(cut.peak() - 1);
  never.config.model.gradient_checkpointing = Switch::kOff;
  EXPECT_FALSE(plan_memory(never).fits());
}

TEST(MemoryPlan, FollowsTheTokenBudgetButNeverCutsAGroup) {
  PlanInput input = paper_run(1000 * kGiB);
  input.config.train.gradient_accumulation_steps = 6;
  input.config.train.token_budget = 9000;
  EXPECT_EQ(plan_memory(input).rows_per_pass, 3 * (600 + 8 * 255));
  input.config.train.token_budget = 100;
  EXPECT_EQ(plan_memory(input).rows_per_pass, 600 + 8 * 255);
}

TEST(MemoryPlan, AdviceIsTheSmallestChangeOfItsKeyThatFits) {
  PlanInput input = paper_run(22 * kGiB);
  input.config.model.gradient_checkpointing = Switch::kOff;
  ASSERT_FALSE(plan_memory(input).fits());
  EXPECT_THAT(smallest_change(input).value_or(""), HasSubstr("model.gradient_checkpointing: auto"));
  input.config.model.gradient_checkpointing = Switch::kAuto;
  input.config.train.gradient_accumulation_steps = 1;
  input.memory_bytes = 0;
  input.memory_bytes = plan_memory(input).peak() - kGiB / 8;
  ASSERT_FALSE(plan_memory(input).fits());
  const std::string advice = smallest_change(input).value_or("");
  long value = 0;
  ASSERT_EQ(std::sscanf(advice.c_str(), "rollout.max_completion_length: %ld", &value), 1) << advice;
  input.config.rollout.max_completion_length = value;
  EXPECT_TRUE(plan_memory(input).fits());
  ++input.config.rollout.max_completion_length;
  EXPECT_FALSE(plan_memory(input).fits());
}

TEST(MemoryPlan, TheVisionCacheHoldsNoMoreThanAllImages) {
  PlanInput input = paper_run(1000 * kGiB);
  const int64_t without = plan_memory(input).peak();
  input.config.model.vision_cache.memory_mb = 1024;
  EXPECT_EQ(plan_memory(input).peak() - without, kGiB);
  input.num_images = 100;
  EXPECT_EQ(plan_memory(input).peak() - without, 100 * 512 * 3584 * 2);
}

TEST(MemoryPlan, SaysSoWhenNothingHelps) { EXPECT_FALSE(smallest_change(paper_run(4 * kGiB)).has_value()); }

}  // namespace
}  // namespace lriad

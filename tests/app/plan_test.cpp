// Compares the memory plan with what libtorch's allocator was asked for.
#include <gtest/gtest.h>

#include "lriad/run/memory_plan.h"
#include "lriad/run/run_context.h"
#include "support/counting_allocator.h"
#include "training_run.h"

namespace lriad {
namespace {

/// A run of a random tiny model whose completions never end early.
struct Setting {
  std::string name;
  std::vector<std::string> sets;
  std::string family = "qwen2_vl";
};
void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

constexpr const char *kLarge = "image.max_pixels=100352", *kNoSmaller = "image.min_pixels=100352";

class Plan : public TrainingRun, public ::testing::WithParamInterface<Setting> {
 protected:
  /// A model whose end token is the image token, which is never sampled.
  static Path endless_model() {
    const Path folder = at("endless");
    const std::string family = GetParam().family;
    command(add_make_model_command,
            "make-model --size tiny --seed 5 --family " + family + " --output " + folder.string());
    const auto image = Json::parse(bytes(folder / "config.json")).at("image_token_id");
    write_file_atomic("test", folder / "generation_config.json", Json{{"eos_token_id", image}}.dump());
    return folder;
  }

  static std::vector<std::string> sets(std::vector<std::string> more) {
    std::vector<std::string> all = {"model.path=" + endless_model().string(),
                                    "model.adapter=null",
                                    "model.vision_cache.memory_mb=0",
                                    "train.max_steps=2",
                                    "log.completions=false",
                                    "grpo.kl_anchor=base"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(
    Settings, Plan,
    ::testing::Values(
        Setting{"as_it_stands", {}}, Setting{"float32", {"model.dtype=float32"}},
        Setting{"bfloat16", {"model.dtype=bfloat16"}},
        Setting{"two_updates", {"grpo.num_iterations=2", "rollout.num_generations=8"}},
        Setting{"own_prompts", {"train.shared_prefix=off"}}, Setting{"several_passes", {"train.token_budget=300"}},
        Setting{"long", {"rollout.max_completion_length=128", "rollout.num_generations=8"}},
        Setting{"images", {"image.max_pixels=401408", "image.min_pixels=401408"}},
        Setting{"recompute", {"model.gradient_checkpointing=on", "rollout.max_completion_length=128"}},
        Setting{"cold_start", {"stage=sft"}}, Setting{"references", {"data.reference.normal=3"}},
        Setting{"references_images",
                {"data.reference.normal=2", "image.max_pixels=401408", "image.min_pixels=401408",
                 "prompt.max_prompt_length=4096", "model.dtype=bfloat16"}},
        Setting{"references_all_weights",
                {"stage=sft", "trainable=all", "data.reference.normal=1", "image.max_pixels=100352",
                 "image.min_pixels=100352"}},
        Setting{"all_weights", {"stage=sft", "trainable=all", "image.max_pixels=100352", "image.min_pixels=100352"}},
        Setting{"qwen2_5_vl", {}, "qwen2_5_vl"},
        Setting{"qwen2_5_vl_images",
                {"image.max_pixels=401408", "image.min_pixels=401408", "model.dtype=bfloat16"},
                "qwen2_5_vl"},
        Setting{"qwen2_5_vl_all_weights",
                {"stage=sft", "trainable=all", "image.max_pixels=100352", "image.min_pixels=100352"},
                "qwen2_5_vl"},
        Setting{"qwen3_vl", {}, "qwen3_vl"}, Setting{"qwen3_vl_bfloat16", {"model.dtype=bfloat16"}, "qwen3_vl"},
        Setting{"qwen3_vl_images",
                {"image.max_pixels=401408", "image.min_pixels=401408", "model.dtype=float32"},
                "qwen3_vl"},
        Setting{"qwen3_vl_all_weights",
                {"stage=sft", "trainable=all", "image.max_pixels=100352", "image.min_pixels=100352"},
                "qwen3_vl"},
        Setting{"all_linear", {"lora.target_modules=all-linear"}},
        Setting{"tower", {"lora.target_modules=[qkv, proj, fc1, fc2, q_proj]", kLarge, kNoSmaller}},
        Setting{"tower_cold_start", {"stage=sft", "lora.target_modules=all-linear", kLarge, kNoSmaller}},
        Setting{
            "tower_bfloat16",
            {"lora.target_modules=all-linear", "model.dtype=bfloat16", "train.shared_prefix=off", kLarge, kNoSmaller}},
        Setting{"merger", {"lora.target_modules=[mlp.0, mlp.2]", kLarge, kNoSmaller}},
        Setting{"qwen2_5_vl_tower", {"lora.target_modules=all-linear", kLarge, kNoSmaller}, "qwen2_5_vl"},
        Setting{"qwen2_5_vl_last_block",
                {"lora.target_modules=.*visual.blocks.1.mlp.(up|down)_proj", "stage=sft", kLarge, kNoSmaller},
                "qwen2_5_vl"},
        Setting{"qwen3_vl_tower", {"lora.target_modules=all-linear", kLarge, kNoSmaller}, "qwen3_vl"},
        Setting{"qwen3_vl_tower_float32",
                {"lora.target_modules=[qkv, linear_fc2]", "model.dtype=float32", kLarge, kNoSmaller},
                "qwen3_vl"}),
    [](const auto& one) { return one.param.name; });

/// Bytes that the plan expects besides the model and its optimizer.
int64_t planned(const MemoryPlan& plan) {
  int64_t bytes = plan.peak();
  for (const auto& [name, size] : plan.always) {
    const bool tensors = name == "features";
    if (!tensors) bytes -= size;
  }
  return bytes;
}

TEST_P(Plan, IsWithinATenthOfTheAllocatorsPeak) {
  CountingAllocator& allocator = CountingAllocator::instance();
  const LoadedConfig loaded = config("run", sets(GetParam().sets));
  const MemoryPlan plan = plan_memory(load_run_inputs(loaded.config, at::kCPU, 1).plan);
  const auto communicator = make_communicator(World{}, at::kCPU, 60);
  Trainer trainer(loaded, {"auto", /*dry_run=*/false}, *communicator, at::kCPU);
  const int64_t before = allocator.held();
  allocator.start();
  EXPECT_EQ(trainer.run(), 0);
  const auto measured = static_cast<double>(allocator.peak() - before);
  EXPECT_NEAR(static_cast<double>(planned(plan)), measured, 0.1 * measured) << plan.table();
}

class SmallerPasses : public TrainingRun, public ::testing::WithParamInterface<std::vector<std::string>> {};

INSTANTIATE_TEST_SUITE_P(Stages, SmallerPasses,
                         ::testing::Values(std::vector<std::string>{}, std::vector<std::string>{"stage=sft"},
                                           std::vector<std::string>{"stage=sft", "trainable=all",
                                                                    "model.adapter=null"}),
                         [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST_P(SmallerPasses, FollowWhereMemoryDoesNotSuffice) {
  CountingAllocator& allocator = CountingAllocator::instance();
  const auto peak = [&](const std::string& name, const std::string& budget, std::optional<int64_t> limit) {
    const auto communicator = make_communicator(World{}, at::kCPU, 60);
    std::vector<std::string> sets = {"model.dtype=float32", "train.max_steps=1", "train.token_budget=" + budget};
    sets.insert(sets.end(), GetParam().begin(), GetParam().end());
    const auto loaded = config(name, sets);
    Trainer trainer(loaded, {"auto", /*dry_run=*/false}, *communicator, at::kCPU);
    const int64_t before = allocator.held();
    allocator.start();
    if (limit) allocator.refuse_once_above(before + *limit);
    EXPECT_EQ(trainer.run(), 0);
    return allocator.peak() - before;
  };
  const int64_t wide = peak("wide", "100000", std::nullopt), narrow = peak("narrow", "1", std::nullopt);
  ASSERT_LT(narrow, wide);
  peak("tight", "100000", (wide + narrow) / 2);
  EXPECT_TRUE(allocator.has_refused());
  const Json expected = metrics("wide").at(0), got = metrics("tight").at(0);
  for (const char* name : {"loss", "grad_norm", "kl", "entropy"}) {
    ASSERT_EQ(got.contains(name), expected.contains(name)) << name;
    if (!expected.contains(name)) continue;  // stage sft has no KL
    EXPECT_NEAR(got[name].get<double>(), expected[name].get<double>(), 1e-5) << name;
  }
}

}  // namespace
}  // namespace lriad

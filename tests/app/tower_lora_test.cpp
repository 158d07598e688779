// Whole runs that train LoRA branches in the vision tower and its mergers, for each family.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "lriad/core/error.h"
#include "lriad/model/load_model.h"
#include "lriad/model/model_files.h"
#include "program.h"
#include "training_run.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TowerRuns : public TrainingRun, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    TrainingRun::SetUp();
    command(add_make_model_command,
            std::string("make-model --size tiny --seed 5 --family ") + GetParam() + " --output " + at("base").string());
  }

  /// Layers of patches, blocks, mergers and decoder, by names that some family has.
  static std::string targets() {
    const std::string family = GetParam(), all = "lora.target_modules=[q_proj, v_proj, qkv, proj, ";
    return all + (family == "qwen2_vl" ? "fc1, mlp.2]" : family == "qwen2_5_vl" ? "up_proj, mlp.0]" : "linear_fc2]");
  }
  static std::vector<std::string> with(std::vector<std::string> sets, const std::vector<std::string>& more) {
    sets.insert(sets.end(), more.begin(), more.end());
    return sets;
  }
  /// A cold start.
  static std::vector<std::string> sft(const std::vector<std::string>& more = {}) {
    return with({"model.path=" + at("base").string(), "model.adapter=null", "stage=sft", "train.max_steps=2",
                 "optim.learning_rate=0.02", targets()},
                more);
  }
  /// Further training of the adapter of the run "taught".
  static std::vector<std::string> grpo(const std::vector<std::string>& more = {}) {
    return with({"model.path=" + at("base").string(), "model.adapter=" + at("taught").string(), "grpo.kl_anchor=base",
                 "train.max_steps=2", "train.save_steps=1", "rollout.max_completion_length=6"},
                more);
  }

  static void expect_moved(const Adapter& before, const Adapter& after) {
    ASSERT_EQ(before.tensors.size(), after.tensors.size());
    for (const auto& [name, tensor] : before.tensors) EXPECT_FALSE(at::equal(tensor, after.tensors.at(name))) << name;
  }
};

INSTANTIATE_TEST_SUITE_P(Of, TowerRuns, ::testing::Values("qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(TowerRuns, ColdStartAndGrpoMoveEveryTensorThatPeftHas) {
  ASSERT_EQ(train("taught", sft({"train.save_steps=1"})), 0);
  const Adapter fresh = read_adapter(checkpoint("taught", 0)), taught = read_adapter(at("taught"));
  std::set<std::string> names;
  for (const auto& [path, weight] : lora_layers(read_model_config(at("base")))) {
    if (!taught.config.shape_of(path)) continue;
    for (const char* part : {".lora_A.weight", ".lora_B.weight"}) names.insert(path + part);
  }
  for (const char* part : {"patch_embed.proj", "blocks.0.attn.qkv", "merger."})
    EXPECT_TRUE(std::ranges::any_of(names, [&](const auto& name) { return name.find(part) != std::string::npos; }))
        << part;
  ASSERT_EQ(taught.tensors.size(), names.size());
  for (const std::string& name : names) {
    ASSERT_TRUE(taught.tensors.contains(name)) << name;
    EXPECT_EQ(fresh.tensors.at(name).abs().max().item<float>() == 0, name.ends_with(".lora_B.weight")) << name;
  }
  // A moves from the second step on, when B is not 0.
  expect_moved(fresh, taught);
  EXPECT_LT(metrics("taught")[1]["loss"], metrics("taught")[0]["loss"]);
  for (const Json& line : metrics("taught")) EXPECT_EQ(line["passes/images"], 4);

  ASSERT_EQ(train("further", grpo({"rollout.ban_vision_tokens=false"})), 0);
  expect_moved(taught, read_adapter(at("further")));
  for (const Json& line : metrics("further")) {
    EXPECT_GT(line["kl"], 0.0);
    EXPECT_EQ(line["passes/images"], 12);  // rollout, reference and policy: no cache
    EXPECT_LT(line["sampling/logp_difference/max"], 1e-9);
  }
  ASSERT_EQ(train("anchored", grpo({"grpo.kl_anchor=initial_adapter"})), 0);
  EXPECT_EQ(metrics("anchored")[0]["kl"], 0.0);
}

TEST_P(TowerRuns, OwnPromptsAndRecomputedLayersGiveTheSameStep) {
  ASSERT_EQ(train("taught", sft()), 0);
  ASSERT_EQ(train("plain", grpo()), 0);
  for (const char* set : {"train.shared_prefix=off", "model.gradient_checkpointing=on", "train.token_budget=1"}) {
    ASSERT_EQ(train("other", grpo({set})), 0);
    EXPECT_LE((parameters("other", 2) - parameters("plain", 2)).abs().max().item<double>(), 1e-9) << set;
    std::filesystem::remove_all(at("other"));
  }
}

TEST_P(TowerRuns, AResumedRunIsTheUndisturbedOne) {
  ASSERT_EQ(train("taught", sft()), 0);
  for (const auto& set : {sft({"lora.lora_dropout=0.1", "train.max_steps=4", "train.save_steps=1"}),
                          grpo({"lora.lora_dropout=0.1", "train.max_steps=4", "grpo.num_iterations=2"})}) {
    for (const char* name : {"whole", "stopped"}) std::filesystem::remove_all(at(name));
    ASSERT_EQ(train("whole", set), 0);
    std::filesystem::create_directories(at("stopped"));
    for (const char* file : {"metrics.jsonl", "completions.jsonl"}) {
      if (std::filesystem::exists(at("whole") / file)) std::filesystem::copy(at("whole") / file, at("stopped"));
    }
    std::filesystem::copy(checkpoint("whole", 1), checkpoint("stopped", 1), std::filesystem::copy_options::recursive);
    ASSERT_EQ(train("stopped", set), 0);
    EXPECT_TRUE(at::equal(parameters("stopped", 4), parameters("whole", 4)));
    EXPECT_EQ(adapter_bytes("stopped", 4), adapter_bytes("whole", 4));
    EXPECT_NE(adapter_bytes("whole", 1), adapter_bytes("whole", 4));
  }
}

TEST_P(TowerRuns, TwoRanksGiveTheStepOfOne) {
  ASSERT_EQ(train("taught", sft()), 0);
  const auto run = [](int ranks) {
    const std::string name = "ranks" + std::to_string(ranks);
    std::vector<std::string> arguments = {"--config", at("grpo.yaml").string(), "--devices", std::to_string(ranks),
                                          "--output", at(name).string(),        "--quiet"};
    for (const std::string& set :
         grpo({"lora.lora_dropout=0.1", "train.gradient_accumulation_steps=" + std::to_string(4 / ranks)}))
      arguments.insert(arguments.end(), {"--set", set});
    const Ended ended = run_program_file("lriad-train", arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return parameters(name, 2);
  };
  EXPECT_LE((run(1) - run(2)).abs().max().item<double>(), 1e-11);
}

TEST_P(TowerRuns, MergedOrNotItAnswersTheSame) {
  ASSERT_EQ(train("taught", sft({"model.dtype=float32"})), 0);
  const std::string base = at("base").string(), adapter = at("taught").string(), merged = at("merged").string();
  const Ended made = run_program_file(
      "lriad-tool", {"merge", "--model", base, "--adapter", adapter, "--output", merged, "--dtype", "float32"});
  ASSERT_EQ(made.code, 0) << made.err;
  const std::string with_adapter = answers("with", {"--model", base, "--adapter", adapter});
  EXPECT_EQ(answers("of_merged", {"--model", merged}), with_adapter);
  EXPECT_NE(answers("plain", {"--model", base}), with_adapter);
}

TEST_P(TowerRuns, ARefusedBatchIsComputedAgain) {
  ASSERT_EQ(train("taught", sft()), 0);
  for (const auto& sets : {grpo(), sft()}) {
    std::filesystem::remove_all(at("refused"));
    const std::vector<std::string> stop =
        with(sets, {"guard.max_grad_norm=1e-6", "guard.on_trip=stop", "lora.lora_dropout=0.1"});
    ASSERT_EQ(train("refused", stop), 3);
    const Ended again = run_program_file("lriad-train", {"--replay", (at("refused") / "guard" / "step-1").string()});
    EXPECT_EQ(again.code, 3) << again.err;
    for (const char* metric : {"loss", "grad_norm"}) {
      std::istringstream line(again.out.substr(again.out.find(concat("\n", metric)) + 1 + std::string(metric).size()));
      double recorded = NAN, now = NAN;
      ASSERT_TRUE(line >> recorded >> now) << again.out;
      EXPECT_NEAR(now, recorded, 1e-9 * std::max(1.0, std::abs(recorded))) << metric;
    }
  }
}

TEST_P(TowerRuns, ExpressionsAndExclusionsChooseAsInPeft) {
  const auto trained = [](const std::string& name) {
    const Adapter adapter = read_adapter(at(name));
    int64_t tower = 0;
    for (const auto& [tensor, values] : adapter.tensors) tower += tensor.starts_with("model.visual.");
    return std::pair(static_cast<int64_t>(adapter.tensors.size()) - tower, tower);
  };
  const auto run = [&](const std::string& name, const std::vector<std::string>& sets) {
    EXPECT_EQ(train(name, sft(with({"train.max_steps=1"}, sets))), 0);
    return trained(name);
  };
  const int64_t layers = read_model_config(at("base")).text.num_hidden_layers;
  EXPECT_EQ(run("names", {"lora.target_modules=[q_proj, v_proj]"}), std::pair(4 * layers, int64_t{0}));
  EXPECT_EQ(run("linear", {"lora.target_modules=all-linear", "lora.exclude_modules=.*visual.*"}),
            std::pair(14 * layers, int64_t{0}));
  EXPECT_EQ(run("expression", {R"(lora.target_modules=.*blocks\.0\.attn\.(qkv|proj)|.*layers\.0\..*q_proj)"}),
            std::pair(int64_t{2}, int64_t{4}));
  const Json written = Json::parse(bytes(at("linear") / "adapter_config.json"));
  EXPECT_EQ(written["target_modules"], "all-linear");
  EXPECT_EQ(written["exclude_modules"], ".*visual.*");
  EXPECT_THAT([&] { run("bad", {"lora.target_modules=q_proj"}); },
              ThrowsMessage<Error>(AllOf(HasSubstr("fits no layer"), HasSubstr("names stand in a list"))));
}

}  // namespace
}  // namespace lriad

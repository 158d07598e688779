// Whole runs of tiny random models of Qwen2.5-VL and Qwen3-VL.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <numeric>

#include "lriad/model/load_model.h"
#include "lriad/model/model_files.h"
#include "program.h"
#include "src/app/tool_model_config.h"
#include "training_run.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;

class Families : public TrainingRun, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    TrainingRun::SetUp();
    command(add_make_model_command,
            std::string("make-model --size tiny --seed 5 --family ") + GetParam() + " --output " + at("base").string());
  }

  /// Of a cold start with LoRA, in float64.
  static std::vector<std::string> sets(const std::vector<std::string>& more) {
    std::vector<std::string> all = {"model.path=" + at("base").string(), "model.adapter=null", "stage=sft",
                                    "train.max_steps=2", "train.save_steps=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  static std::string answers(const std::string& name, const std::vector<std::string>& model) {
    std::vector<std::string> arguments = {"--data",
                                          (at("data") / "data.jsonl").string(),
                                          "--format",
                                          "jsonl",
                                          "--limit",
                                          "4",
                                          "--max-new-tokens",
                                          "12",
                                          "--token-ids",
                                          "--output",
                                          at(name).string(),
                                          "--set",
                                          "model.dtype=float32",
                                          "--quiet"};
    arguments.insert(arguments.end(), model.begin(), model.end());
    const Ended ended = run_program_file("lriad-eval", arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    std::string ids;
    for (const Json& line : lines(name, "predictions.jsonl")) ids += line["completion_ids"].dump() + "\n";
    return ids;
  }
};

INSTANTIATE_TEST_SUITE_P(Of, Families, ::testing::Values("qwen2_5_vl", "qwen3_vl"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Families, TheVisionCacheChangesNothing) {
  ASSERT_EQ(train("warm", sets({})), 0);
  ASSERT_EQ(train("none", sets({"model.vision_cache.memory_mb=0"})), 0);
  ASSERT_EQ(train("disk", sets({"model.vision_cache.folder=" + at("cache").string()})), 0);
  ASSERT_EQ(train("again", sets({"model.vision_cache.folder=" + at("cache").string()})), 0);
  for (const char* other : {"none", "disk", "again"}) EXPECT_EQ(adapter_bytes(other, 2), adapter_bytes("warm", 2));
  const auto curve = metrics("warm");
  EXPECT_LT(curve[1]["loss"].get<double>(), curve[0]["loss"].get<double>());
}

TEST_P(Families, SharedPrefixesAndRecomputedLayersGiveTheSameStep) {
  ASSERT_EQ(train("taught", sets({"optim.learning_rate=0.02"})), 0);
  const std::vector<std::string> step = {"model.path=" + at("base").string(),
                                         "model.adapter=" + at("taught").string(),
                                         "grpo.kl_anchor=base",
                                         "train.max_steps=1",
                                         "train.save_steps=0",
                                         "rollout.max_completion_length=6"};
  const auto run = [&](const std::string& name, const std::string& set) {
    std::vector<std::string> all = step;
    if (!set.empty()) all.push_back(set);
    EXPECT_EQ(train(name, all), 0);
    return metrics(name).front();
  };
  const Json shared = run("shared", "");
  EXPECT_GT(shared["kl"], 0.0);
  EXPECT_GT(shared["grad_norm"], 0.0);
  for (const char* set : {"train.shared_prefix=off", "model.gradient_checkpointing=on"}) {
    const Json other = run(set, set);
    EXPECT_NEAR(other["kl"].get<double>(), shared["kl"].get<double>(), 1e-9);
    EXPECT_NEAR(other["grad_norm"].get<double>(), shared["grad_norm"].get<double>(), 1e-9);
  }
}

TEST_P(Families, TrainingAllWeightsReachesEveryTensor) {
  ASSERT_EQ(train("all", sets({"trainable=all", "model.dtype=float32"})), 0);
  Qwen2Vl before = load_model(at("base"), at::kFloat, at::kCPU), after = load_model(at("all"), at::kFloat, at::kCPU);
  const auto weights = after->named_parameters();
  int64_t equal = 0;
  for (const auto& item : before->named_parameters()) {
    const bool same = at::equal(item.value(), weights[item.key()]);
    equal += same;
    // A bias of the keys moves all scores of a query alike.
    if (same) {
      EXPECT_THAT(item.key(), HasSubstr("k_proj.bias"));
    }
  }
  EXPECT_LE(equal, 2);
}

TEST_P(Families, AMergedAdapterAnswersAsTheAdapterDoes) {
  ASSERT_EQ(train("taught", sets({"optim.learning_rate=0.02", "model.dtype=float32"})), 0);
  const std::string base = at("base").string(), merged = at("merged").string(), adapter = at("taught").string();
  const Ended ended = run_program_file(
      "lriad-tool", {"merge", "--model", base, "--adapter", adapter, "--output", merged, "--dtype", "float32"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const std::string with_adapter = answers("with", {"--model", base, "--adapter", adapter});
  EXPECT_EQ(answers("merged_answers", {"--model", merged}), with_adapter);
  EXPECT_NE(answers("plain", {"--model", base}), with_adapter);
}

// Counts of transformers' models on the meta device: parameters, those of the vision tower, tensors.
TEST(PublishedSizes, HaveTheNumberOfParametersAndTensorsOfTransformers) {
  struct Counts {
    const char *family, *size;
    int64_t parameters, vision, tensors;
  };
  for (const auto& [family, size, parameters, vision, tensors] :
       {Counts{"qwen2_vl", "7b", 8291375616, 675759104, 730}, Counts{"qwen2_vl", "2b", 2208985600, 665271296, 729},
        Counts{"qwen2_5_vl", "3b", 3754622976, 668684288, 824}, Counts{"qwen2_5_vl", "7b", 8292166656, 676550144, 729},
        Counts{"qwen3_vl", "2b", 2127532032, 406957056, 625}, Counts{"qwen3_vl", "4b", 4437815808, 415347712, 713},
        Counts{"qwen3_vl", "8b", 8767123696, 576388336, 750}}) {
    int64_t all = 0, tower = 0;
    const auto shapes = expected_tensors(named_model_config(family, size));
    for (const auto& [name, shape] : shapes) {
      const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
      all += count;
      tower += name.starts_with("model.visual.") ? count : 0;
    }
    EXPECT_EQ(all, parameters) << family << size;
    EXPECT_EQ(tower, vision) << family << size;
    EXPECT_EQ(std::ssize(shapes), tensors) << family << size;
  }
}

}  // namespace
}  // namespace lriad

// Whole runs of tiny random models of Qwen2.5-VL and Qwen3-VL.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <numeric>

#include "lriad/model/load_model.h"
#include "lriad/model/model_files.h"
#include "lriad/model/safetensors.h"
#include "lriad/text/tokenizer.h"
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

/// Steps of metrics.jsonl without what depends on the clock.
std::vector<nlohmann::json> without_times(std::vector<nlohmann::json> lines) {
  for (nlohmann::json& line : lines) {
    std::vector<std::string> timed;
    for (const auto& [key, value] : line.items()) {
      if (key.starts_with("time/") || key.starts_with("memory/") || key == "tokens_per_second") timed.push_back(key);
    }
    for (const std::string& key : timed) line.erase(key);
  }
  return lines;
}

TEST_P(Families, AResumedRunIsTheUndisturbedOne) {
  ASSERT_EQ(train("taught", sets({"optim.learning_rate=0.02"})), 0);
  const std::vector<std::string> grpo = {"model.path=" + at("base").string(), "model.adapter=" + at("taught").string(),
                                         "grpo.kl_anchor=base", "rollout.max_completion_length=6"};
  for (std::vector<std::string> set : {sets({}), grpo}) {
    set.insert(set.end(), {"train.max_steps=4", "train.save_steps=1", "lora.lora_dropout=0.1"});
    std::filesystem::remove_all(at("whole"));
    std::filesystem::remove_all(at("stopped"));
    ASSERT_EQ(train("whole", set), 0);
    std::filesystem::create_directories(at("stopped"));
    for (const char* file : {"metrics.jsonl", "completions.jsonl"}) {
      if (std::filesystem::exists(at("whole") / file)) std::filesystem::copy(at("whole") / file, at("stopped"));
    }
    std::filesystem::copy(checkpoint("whole", 2), checkpoint("stopped", 2), std::filesystem::copy_options::recursive);
    ASSERT_EQ(train("stopped", set), 0);
    EXPECT_EQ(adapter_bytes("stopped", 4), adapter_bytes("whole", 4));
    EXPECT_NE(adapter_bytes("whole", 2), adapter_bytes("whole", 4));
    EXPECT_EQ(without_times(metrics("stopped")), without_times(metrics("whole")));
  }
}

TEST_P(Families, TwoRanksGiveTheStepOfOne) {
  ASSERT_EQ(train("taught", sets({"optim.learning_rate=0.02"})), 0);
  const auto run = [](int ranks) {
    const std::string name = "ranks" + std::to_string(ranks);
    std::vector<std::string> arguments = {"--config", at("grpo.yaml").string(), "--devices", std::to_string(ranks),
                                          "--output", at(name).string(),        "--quiet"};
    for (const std::string& set : {"model.path=" + at("base").string(), "model.adapter=" + at("taught").string(),
                                   std::string("grpo.kl_anchor=base"), std::string("train.max_steps=2"),
                                   std::string("rollout.max_completion_length=6"),
                                   "train.gradient_accumulation_steps=" + std::to_string(4 / ranks)}) {
      arguments.insert(arguments.end(), {"--set", set});
    }
    const Ended ended = run_program_file("lriad-train", arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return parameters(name, 2);
  };
  const at::Tensor one = run(1);
  EXPECT_LE((run(2) - one).abs().max().item<double>(), 1e-12);
  EXPECT_GT((one - parameters("ranks1", 0)).abs().max().item<double>(), 1e-3);
}

// The files that PEFT wrote for the same targets are beside the tiny checkpoints of transformers.
TEST_P(Families, AnAdapterHasTheTensorsThatPeftWrites) {
  const Path golden =
      Path(LRIAD_GOLDEN_DIR) / (GetParam() == std::string("qwen3_vl") ? "tiny_qwen3vl" : "tiny_qwen25vl");
  const Path theirs = golden / "adapter";
  const AdapterConfig config = read_adapter_config(theirs / "adapter_config.json");
  ASSERT_EQ(train("taught", sets({"model.path=" + golden.string(), "model.dtype=float32", "train.max_steps=1",
                                  concat("lora.r=", config.r), "prompt.template=Is the {object} good?"})),
            0);
  const SafetensorsFile expected(theirs / "adapter_model.safetensors"),
      ours(at("taught") / "adapter_model.safetensors");
  EXPECT_EQ(ours.entries().size(), expected.entries().size());
  for (const TensorEntry& entry : expected.entries()) {
    const TensorEntry* own = ours.find(entry.name);
    ASSERT_NE(own, nullptr) << entry.name;
    EXPECT_EQ(own->shape, entry.shape) << entry.name;
    EXPECT_EQ(own->dtype, "F32");
  }
}

TEST_P(Families, AnEvaluationTakesThePromptAndSizesOfTheTraining) {
  ASSERT_EQ(
      train("taught", sets({"model.dtype=float32", "prompt.template=Look at the {object}.", "image.max_pixels=6272"})),
      0);
  const Ended ended = run_program_file(
      "lriad-eval", {"--model", at("base").string(), "--adapter", at("taught").string(), "--data",
                     (at("data") / "data.jsonl").string(), "--format", "jsonl", "--limit", "2", "--token-ids",
                     "--max-new-tokens", "2", "--output", at("eval").string(), "--quiet"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Tokenizer tokenizer = Tokenizer::load(at("base"));
  const auto ids = lines("eval", "predictions.jsonl").front()["prompt_ids"].get<std::vector<int64_t>>();
  EXPECT_THAT(tokenizer.decode(ids, false), HasSubstr("Look at the "));
  const Json metrics = Json::parse(bytes(at("eval") / "metrics.json"));
  EXPECT_EQ(metrics["settings"]["image_max_pixels"], 6272);
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

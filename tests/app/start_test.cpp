// What lriad-train checks and says before its first step, and how it ends without one.
#include <gmock/gmock.h>

#include <csignal>
#include <thread>

#include "app/training_run.h"
#include "lriad/core/error.h"
#include "lriad/run/run_context.h"
#include "lriad/run/run_folder.h"

namespace lriad {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Start : public TrainingRun {
 protected:
  static std::vector<std::string> arguments(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> all = {"--config", at("grpo.yaml").string(), "--output", at(name).string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// A copy of the model folder whose weights end with these bytes.
  static Path changed_model(const std::string& end) {
    const Path folder = at("changed"), weights = folder / "model.safetensors";
    std::filesystem::copy(at("model"), folder);
    const std::string content = bytes(weights);
    write_file_atomic("test", weights, content.substr(0, content.size() - end.size()) + end);
    return folder;
  }

  /// Whether a file with this content appears within a minute.
  static bool appears(const Path& file, const std::string& content) {
    for (int k = 0; k < 600; ++k, std::this_thread::sleep_for(100ms)) {
      if (std::filesystem::exists(file) && bytes(file).find(content) != std::string::npos) return true;
    }
    return false;
  }
};

/// The variables that a launcher sets for rank 0 of 2.
class PlanUnder : public Start, public ::testing::WithParamInterface<std::map<std::string, std::string>> {
 protected:
  void SetUp() override {
    Start::SetUp();
    for (const auto& [name, value] : GetParam()) setenv(name.c_str(), value.c_str(), 1);
  }
  void TearDown() override {
    for (const auto& [name, value] : GetParam()) unsetenv(name.c_str());
  }
};

INSTANTIATE_TEST_SUITE_P(Launchers, PlanUnder,
                         ::testing::Values(std::map<std::string, std::string>{},
                                           std::map<std::string, std::string>{{"RANK", "0"},
                                                                              {"LOCAL_RANK", "0"},
                                                                              {"WORLD_SIZE", "2"},
                                                                              {"LOCAL_WORLD_SIZE", "2"},
                                                                              {"MASTER_ADDR", "127.0.0.1"},
                                                                              {"MASTER_PORT", "29511"}},
                                           std::map<std::string, std::string>{{"SLURM_PROCID", "0"},
                                                                              {"SLURM_LOCALID", "0"},
                                                                              {"SLURM_NTASKS", "2"},
                                                                              {"SLURM_JOB_ID", "77"},
                                                                              {"SLURM_JOB_NODELIST", "localhost"},
                                                                              {"SLURM_NTASKS_PER_NODE", "2"}}),
                         [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST_P(PlanUnder, ALauncherPlansAndDoesNotTrain) {
  make_folder("test", at("planned") / "checkpoint-1");  // a plan writes nothing, so it may name any folder
  const Ended plan = run_program_file("lriad-train", arguments("planned", {"--plan"}));
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_THAT(plan.out, AllOf(HasSubstr("rollout"), HasSubstr("peak")));
  EXPECT_FALSE(std::filesystem::exists(at("planned") / "metrics.jsonl"));
}

TEST_F(Start, APlanThatNoKeyCanMakeFitSaysWhatWould) {
  const Ended plan = run_program_file(
      "lriad-train", arguments("planned", {"--plan", "--device-memory", "1", "--set", "rollout.num_generations=1024",
                                           "--set", "rollout.max_completion_length=4096"}));
  EXPECT_EQ(plan.code, 2) << plan.err;
  EXPECT_THAT(plan.err, AllOf(HasSubstr("the run needs "), HasSubstr("take a smaller model or a larger device")));
}

TEST_F(Start, APlanRefusesASumThatTheDevicesDoNotHave) {
  const Ended plan =
      run_program_file("lriad-train", arguments("planned", {"--plan", "--set", "distributed.all_reduce=ring"}));
  EXPECT_EQ(plan.code, 2) << plan.err;
  EXPECT_THAT(plan.err, HasSubstr("distributed.all_reduce"));
}

TEST_F(Start, APlanCountsTheEvaluation) {
  const std::string data = "eval_data={format: jsonl, root: " + (at("data") / "data.jsonl").string() + "}";
  const auto phases = [](const std::vector<std::string>& sets) {
    return plan_memory(load_run_inputs(config("planned", sets).config, at::kCPU, 1).plan).table();
  };
  EXPECT_THAT(phases({data, "train.eval_steps=1"}), HasSubstr("evaluation"));
  EXPECT_THAT(phases({data, "train.eval_steps=0"}), ::testing::Not(HasSubstr("evaluation")));
}

TEST_F(Start, AnotherFineTuneOfTheSameShapeIsNamed) {
  ASSERT_EQ(train("run", {"train.max_steps=1", "train.save_steps=1"}), 0);
  EXPECT_THAT(
      [] {
        train("run", {"train.max_steps=2", "model.path=" + changed_model({2, 1}).string()});
      },
      ThrowsMessage<Error>(HasSubstr("was trained on another model: model file model.safetensors has changed")));
  EXPECT_EQ(train("run", {"train.max_steps=2"}), 0);
}

TEST_F(Start, RanksCompareTheImagesThatReferencesAreDrawnFrom) {
  command(add_make_data_command,
          "make-data --format jsonl --images 6 --defect-rate 0 --objects gear,ring --size 56 --output " +
              at("pool").string());
  const Path list = at("pool") / "data.jsonl";
  const auto listing = [&] {
    const LoadedConfig loaded = config("run", {"data.reference={normal: 1, root: " + list.string() + "}"});
    for (const auto& [name, value] : fingerprints(load_run_inputs(loaded.config, at::kCPU, 1))) {
      if (name == "data listing") return value;
    }
    return std::string();
  };
  const std::string before = listing(), lines = bytes(list);
  EXPECT_EQ(listing(), before);
  write_file_atomic("test", list, lines.substr(0, lines.rfind('\n', lines.size() - 2) + 1));
  EXPECT_NE(listing(), before);
}

TEST_F(Start, AGivenAdapterNamesTheKeysThatItReplaces) {
  const Ended run =
      run_program_file("lriad-train", arguments("run", {"--set", "lora.r=7", "--set", "train.max_steps=1"}));
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("model.adapter is given, so these keys are ignored: lora.r 7 (the adapter has "));
}

TEST_F(Start, ARunFolderInUseIsToldBeforeTheWeightsAreRead) {
  make_folder("test", at("busy"));
  const RunLock lock(at("busy"));
  const std::string nan(4, static_cast<char>(0xFF));
  EXPECT_THAT([&] { train("busy", {"model.path=" + changed_model(nan).string()}); },
              ThrowsMessage<Error>(HasSubstr("in use by")));
  EXPECT_THAT([&] { train("free", {"model.path=" + at("changed").string()}); },
              ThrowsMessage<Error>(HasSubstr("not finite")));
}

// No checkpoint comes at a regular step then, but a stop still loses nothing.
TEST_F(Start, ARunThatSavesAtNoStepSavesWhenItIsStopped) {
  Running run("lriad-train", arguments("stopped", {"--set", "train.save_steps=0", "--set", "train.max_steps=100000"}));
  ASSERT_TRUE(appears(at("stopped") / "metrics.jsonl", "\"step\":2,"));
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 128 + SIGTERM);
  const auto steps = checkpoint_steps(at("stopped"));
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_GE(steps.front(), 2);
}

// With the old policy as the reference the KL term has no gradient in a step's first iteration, so that groups of equal
// rewards need no backward pass.
TEST_F(Start, AStepWithoutAGradientRunsNoBackwardPass) {
  const std::vector<std::string> sets = {"model.adapter=null", "train.max_steps=1", "grpo.kl_anchor=old"};
  ASSERT_EQ(train("flat", sets), 0);
  const Json flat = metrics("flat").at(0);
  EXPECT_EQ(flat["frac_reward_zero_std"], 1.0);
  EXPECT_EQ(flat.value("time/backward", 0.0), 0.0);
  ASSERT_EQ(train("rewarded", {"train.max_steps=1", "grpo.kl_anchor=old"}), 0);
  EXPECT_GT(metrics("rewarded").at(0).value("time/backward", 0.0), 0.0);
}

}  // namespace
}  // namespace lriad

// Runs of several processes in which a fault happens.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "app/program.h"
#include "app/training_run.h"

namespace lriad {
namespace {

using ::testing::Each;

/// Runs of two ranks over six steps, with a checkpoint after each.
class Faults : public TrainingRun {
 protected:
  static std::vector<std::string> arguments(const std::string& name, const std::vector<std::string>& sets = {}) {
    std::vector<std::string> words = {"--config",    at("grpo.yaml").string(),
                                      "--output",    at(name).string(),
                                      "--devices",   "2",
                                      "--log-level", "error",
                                      "--set",       "train.max_steps=6",
                                      "--set",       "train.save_steps=1",
                                      "--set",       "train.gradient_accumulation_steps=2"};
    for (const std::string& set : sets) words.insert(words.end(), {"--set", set});
    return words;
  }

  static bool reaches_step(const std::string& name, std::size_t step) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto written = [&] { return std::filesystem::exists(at(name) / "metrics.jsonl") ? metrics(name).size() : 0; };
    while (written() < step && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return written() >= step;
  }

  static void expect_same_result(const std::string& name, const std::string& other) {
    EXPECT_EQ(adapter_bytes(name, 6), adapter_bytes(other, 6));
    EXPECT_EQ(bytes(checkpoint(name, 6) / "state.safetensors"), bytes(checkpoint(other, 6) / "state.safetensors"));
    EXPECT_EQ(bytes(at(name) / "completions.jsonl"), bytes(at(other) / "completions.jsonl"));
  }
};

TEST_F(Faults, AKilledRankIsStartedAgainWithAllOthersAndTheResultIsTheSame) {
  ASSERT_EQ(run_program_file("lriad-train", arguments("whole")).code, 0);
  for (const std::size_t victim : {0u, 1u}) {
    const std::string name = "killed" + std::to_string(victim);
    Running run("lriad-train", arguments(name, {"distributed.max_restarts=1"}));
    ASSERT_TRUE(reaches_step(name, 2 + victim));
    const std::vector<pid_t> ranks = run.children();
    ASSERT_EQ(ranks.size(), 2u);
    kill(ranks[victim], SIGKILL);
    EXPECT_EQ(run.wait(), 0);
    expect_same_result(name, "whole");
  }
}

}  // namespace
}  // namespace lriad

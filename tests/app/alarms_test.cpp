// Diagnostics of whole runs: the metrics by class in metrics.jsonl, and the alarms' lines in the log.
#include <gmock/gmock.h>

#include "app/training_run.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;

class Diagnostics : public TrainingRun {
 protected:
  static std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }
};

TEST_F(Diagnostics, AreInEveryLineAndFollowFromTheCompletions) {
  ASSERT_EQ(train("run", {"train.max_steps=2", "train.save_steps=0", "grpo.num_iterations=2"}), 0);
  const auto completions = lines("run", "completions.jsonl");
  for (const Json& line : metrics("run")) {
    for (const char* name : {"duplicate_completions", "collapsed_entropy", "format_without_answers", "length_hacking",
                             "truncated_completions", "one_class"}) {
      EXPECT_EQ(line.at(std::string("alarms/") + name), 0.0);
    }
    for (const std::string label : {"defect", "normal"}) {
      double p = 0, size = 0, with_p = 0, right = 0, right_size = 0, gradient = 0, whole = 0;
      for (const Json& one : completions) {
        const double advantage = one["advantage"];
        whole += std::abs(advantage) * one["length"].get<double>();
        if (one["label"] != label) continue;
        gradient += std::abs(advantage) * one["length"].get<double>();
        size += 1;
        if (!one["p"].is_null()) p += one["p"].get<double>();
        with_p += one["p"].is_null() ? 0 : 1;
        right += one["verdict"] == label ? advantage : 0;
        right_size += one["verdict"] == label ? 1 : 0;
      }
      ASSERT_GT(with_p, 0);
      ASSERT_GT(right_size, 0);
      EXPECT_NEAR(line["p/" + label], p / with_p, 1e-12);
      EXPECT_NEAR(line["advantage_right/" + label], right / right_size, 1e-12);
      EXPECT_NEAR(line["gradient_share/" + label], gradient / whole, 1e-12);
      EXPECT_GT(line["advantage_abs/" + label], 0.0);
    }
    EXPECT_GE(line["completions/duplicate_ratio"], 0.0);
  }
}

// The random model hardly ever generates an end token, so nearly all completions are truncated.
TEST_F(Diagnostics, AnAlarmRingsOnceInTheLogAlsoWhenTheRunIsInterrupted) {
  const std::vector<std::string> sets = {"model.adapter=null", "train.max_steps=12", "train.save_steps=1",
                                         "optim.learning_rate=0", "rollout.max_completion_length=6"};
  ASSERT_EQ(train("whole", sets), 0);
  const auto whole = metrics("whole");
  EXPECT_EQ(whole[8]["alarms/truncated_completions"], 0.0);
  for (std::size_t k = 9; k < 12; ++k) EXPECT_EQ(whole[k]["alarms/truncated_completions"], 1.0);
  EXPECT_EQ(count(bytes(at("whole") / "log.txt"), "step 10: alarm truncated_completions: "), 1u);
  EXPECT_THAT(bytes(at("whole") / "log.txt"), HasSubstr("raise rollout.max_completion_length"));
  for (const int64_t step : {6, 11}) {
    const std::string name = "again" + std::to_string(step);
    make_folder("test", at(name));
    std::filesystem::copy(checkpoint("whole", step), checkpoint(name, step), std::filesystem::copy_options::recursive);
    ASSERT_EQ(train(name, sets), 0);
    const auto rest = metrics(name);
    ASSERT_EQ(rest.size(), static_cast<std::size_t>(12 - step));
    for (const Json& line : rest) {
      const Json& other = whole.at(line["step"].get<std::size_t>() - 1);
      EXPECT_EQ(line["alarms/truncated_completions"], other["alarms/truncated_completions"]);
    }
    EXPECT_EQ(count(bytes(at(name) / "log.txt"), "alarm truncated_completions"), step < 10 ? 1u : 0u);
    EXPECT_EQ(read_trainer_state(checkpoint(name, 12)).extra.at("alarms"),
              read_trainer_state(checkpoint("whole", 12)).extra.at("alarms"));
  }
}

}  // namespace
}  // namespace lriad

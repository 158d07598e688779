// A checkpoint that an evaluation chose says so wherever its metrics stand.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "program.h"
#include "training_run.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Chosen : public TrainingRun {
 protected:
  static std::string data() { return (at("data") / "data.jsonl").string(); }

  static Ended evaluate(const Path& adapter, const std::string& root, const std::string& name) {
    return run_program_file("lriad-eval",
                            {"--model", at("model").string(), "--adapter", adapter.string(), "--data", root, "--format",
                             "jsonl", "--limit", "4", "--max-new-tokens", "4", "--output", at(name).string()});
  }
};

TEST_F(Chosen, TheBestCheckpointSaysOnWhatItWasChosen) {
  ASSERT_EQ(train("run", {"eval_data.format=jsonl", "eval_data.root=" + data(), "eval_data.max_samples=8",
                          "eval.max_new_tokens=24", "train.eval_steps=1", "train.max_steps=2",
                          "train.metric_for_best_model=accuracy"}),
            0);
  const std::string words = "accuracy on " + data() + ", split all";
  Path best;
  for (const auto& entry : std::filesystem::directory_iterator(at("run"))) {
    const Path settings = entry.path() / "lriad_settings.json";
    if (!std::filesystem::exists(settings)) continue;
    if (!Json::parse(bytes(settings)).value("chosen_on", Json()).is_null()) best = entry.path();
  }
  ASSERT_FALSE(best.empty());
  EXPECT_THAT(bytes(at("run") / "README.md"),
              HasSubstr(best.filename().string() + ", was chosen on the evaluation data"));
  EXPECT_THAT(bytes(at("run") / "log.txt"), HasSubstr("chosen on eval_data " + data()));

  const Ended same = evaluate(best, data(), "same");
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out,
              HasSubstr("checkpoint chosen on " + words + ": these metrics are of the same data and too good"));
  EXPECT_THAT(bytes(at("same") / "report" / "index.html"), HasSubstr("too good"));
  const Json written = Json::parse(bytes(at("same") / "metrics.json"))["chosen_on"];
  EXPECT_EQ(written["checkpoint"], words);
  EXPECT_EQ(written["same_data"], true);

  std::filesystem::copy(at("data"), at("other"), std::filesystem::copy_options::recursive);
  const Ended other = evaluate(best, (at("other") / "data.jsonl").string(), "elsewhere");
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_THAT(other.out, HasSubstr("checkpoint chosen on " + words + "\n"));
  EXPECT_EQ(Json::parse(bytes(at("elsewhere") / "metrics.json"))["chosen_on"]["same_data"], false);
  const Ended last = evaluate(at("run"), data(), "last");
  EXPECT_THAT(last.out, Not(HasSubstr("chosen on")));
}

}  // namespace
}  // namespace lriad

// Batches that the health guard refused are saved and computed again.
#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "app/program.h"
#include "app/training_run.h"
#include "lriad/health/refused_batch.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Replay : public TrainingRun {
 protected:
  /// Runs training until the guard refuses `step`; returns the folder of that step's batch.
  static Path refused_batch(const std::string& name, const std::vector<std::string>& sets, int64_t step = 1) {
    std::vector<std::string> words = {
        "--config", at("grpo.yaml").string(), "--output", at(name).string(), "--log-level", "off"};
    for (const std::string& set : sets) words.insert(words.end(), {"--set", set});
    words.insert(words.end(), {"--set", "guard.on_trip=stop"});
    EXPECT_EQ(run_program_file("lriad-train", words).code, 3);
    return at(name) / "guard" / ("step-" + std::to_string(step));
  }

  static Ended replay(const Path& batch, const std::vector<std::string>& sets = {}) {
    std::vector<std::string> words = {"--replay", batch.string(), "--log-level", "error"};
    for (const std::string& set : sets) words.insert(words.end(), {"--set", set});
    return run_program_file("lriad-train", words);
  }

  /// Compares the two numbers after `name` in the table of totals: recorded and now.
  static void expect_as_recorded(const std::string& out, const std::string& name, double tolerance = 1e-9) {
    std::istringstream line(out.substr(out.find("\n" + name) + 1 + name.size()));
    double recorded = NAN, now = NAN;
    ASSERT_TRUE(line >> recorded >> now) << out;
    EXPECT_NEAR(now, recorded, tolerance * std::max(1.0, std::abs(recorded))) << name;
  }

  static std::vector<std::string> marked_lines(const std::string& out) {
    std::vector<std::string> marked;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("not finite") != std::string::npos && line.find("<-") != std::string::npos) marked.push_back(line);
    }
    return marked;
  }
};

TEST_F(Replay, GivesTheMetricsOfTheRefusedStepAgain) {
  for (const char* devices : {"1", "2"}) {
    const std::string name = std::string("ranks") + devices;
    const Path batch =
        refused_batch(name, {"guard.max_grad_norm=1e-6", "lora.lora_dropout=0.1",
                             std::string("distributed.devices=") + devices, "train.gradient_accumulation_steps=2"});
    const Ended again = replay(batch);
    EXPECT_EQ(again.code, 3) << again.err;
    EXPECT_THAT(again.out, AllOf(HasSubstr("step 1, "), HasSubstr("above guard.max_grad_norm 1e-06"),
                                 HasSubstr("the health guard refuses it")));
    for (const char* metric : {"loss", "kl", "grad_norm"}) expect_as_recorded(again.out, metric);
    EXPECT_EQ(replay(batch, {"guard.max_grad_norm=1e6"}).code, 0);
  }
}

TEST_F(Replay, ServesLaterIterationsAndTheColdStart) {
  // Without dropout the KL is 0 in the first iteration, so only the second is refused.
  const Path batch = refused_batch("iterations", {"guard.max_kl=1e-9", "grpo.num_iterations=2"}, 2);
  expect_as_recorded(replay(batch).out, "kl");
  const Path sft = refused_batch("sft", {"guard.max_grad_norm=1e-6", "stage=sft"});
  const Ended again = replay(sft);
  EXPECT_EQ(again.code, 3) << again.err;
  for (const char* metric : {"loss", "grad_norm"}) expect_as_recorded(again.out, metric);
}

TEST_F(Replay, TakesAllWeightsFromACheckpoint) {
  std::vector<std::string> sets = {"stage=sft", "trainable=all", "model.adapter=null", "model.dtype=float32",
                                   "train.save_steps=1"};
  sets.push_back("train.max_steps=1");
  ASSERT_EQ(train("whole", sets), 0);
  sets.back() = "train.max_steps=2";
  sets.push_back("guard.max_grad_norm=1e-6");
  const Path batch = refused_batch("whole", sets, /*step=*/2);
  const Ended again = replay(batch);
  EXPECT_THAT(again.out, HasSubstr("checkpoint-1\n"));
  EXPECT_EQ(again.code, 3) << again.err;
  for (const char* metric : {"loss", "grad_norm"}) expect_as_recorded(again.out, metric, /*tolerance=*/1e-6);
  RefusedBatch part = read_refused_batch(batch / "rank-0.safetensors");
  part.passes[0][0].patches.pop_back();
  write_refused_batch(batch / "rank-0.safetensors", part);
  const Ended cut = replay(batch);
  EXPECT_EQ(cut.code, 2);
  EXPECT_THAT(cut.err, HasSubstr("do not fill its grid"));
}

TEST_F(Replay, NamesTheOneCompletionThatIsNotFinite) {
  const Path file = refused_batch("nan", {"guard.max_grad_norm=1e-6"}) / "rank-0.safetensors";
  RefusedBatch batch = read_refused_batch(file);
  Group& group = batch.passes.at(0).at(1);
  group.reference_M[0] = NAN;
  write_refused_batch(file, batch);
  const Ended again = replay(file);
  EXPECT_EQ(again.code, 3);
  const auto marked = marked_lines(again.out);
  ASSERT_EQ(marked.size(), 1u) << again.out;
  EXPECT_THAT(marked[0],
              AllOf(HasSubstr(group.sample_id), HasSubstr("KL not finite"), HasSubstr("gradient not finite")));
  EXPECT_THAT(again.out, HasSubstr("loss is not finite"));
}

TEST_F(Replay, KeepsWhatWasWritten) {
  const Path file = refused_batch("kept", {"guard.max_grad_norm=1e-6"}) / "rank-0.safetensors";
  const RefusedBatch batch = read_refused_batch(file);
  std::size_t groups = 0;
  for (const std::vector<Group>& pass : batch.passes) {
    for (const Group& group : pass) {
      ++groups;
      EXPECT_EQ(group.completions.size(), 4u);
      EXPECT_TRUE(group.policy_M.defined() && group.reference_M.defined());
      EXPECT_EQ(group.policy_M.size(0), group.num_tokens());
    }
  }
  EXPECT_EQ(groups, 4u);
  const std::string before = bytes(file);
  write_refused_batch(file, batch);
  EXPECT_EQ(bytes(file), before);
}

TEST_F(Replay, RefusesOtherFiles) {
  EXPECT_THAT(replay(at("nothing")).err, HasSubstr("does not exist"));
  const Path file = refused_batch("bad", {"guard.max_grad_norm=1e-6"}) / "rank-0.safetensors";
  std::filesystem::copy(Path(LRIAD_GOLDEN_DIR) / "cold_start" / "adapter_model.safetensors", file,
                        std::filesystem::copy_options::overwrite_existing);
  const Ended other = replay(file);
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("is no batch of a run"));
  std::filesystem::resize_file(file, 1000);
  EXPECT_EQ(replay(file).code, 2);
  std::filesystem::remove(file);
  const Ended none = replay(file.parent_path());
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("holds no rank-<r>.safetensors"));
}

}  // namespace
}  // namespace lriad

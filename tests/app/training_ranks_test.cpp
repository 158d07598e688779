// Runs of the program as 1, 2 and 4 processes on the CPU.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "app/program.h"
#include "app/training_run.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

class TrainingRanks : public TrainingRun, public ::testing::WithParamInterface<const char*> {
 protected:
  static int run_program(int64_t ranks, const std::string& name, const std::string& sets) {
    const std::string command = lriad::concat(
        "CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 ", LRIAD_BIN_DIR, "/lriad-train --log-level off --config ",
        at("grpo.yaml").string(), " --devices ", ranks, " --output ", at(name).string(),
        " --set train.gradient_accumulation_steps=", 4 / ranks, " --set train.max_steps=3 ", sets);
    return std::system(command.c_str());
  }

  /// Lines of completions.jsonl without the rank.
  static std::vector<Json> completions(const std::string& name) {
    std::vector<Json> all = lines(name, "completions.jsonl");
    for (Json& line : all) {
      for (const char* key : {"rank", "sampling_logprobs", "policy_logprobs", "old_logprobs", "ref_logprobs", "p",
                              "advantage", "reward", "rewards"}) {
        line.erase(key);
      }
    }
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Settings, TrainingRanks,
                         ::testing::Values("", "--set lora.lora_dropout=0.1",
                                           "--set lora.lora_dropout=0.1 --set grpo.num_iterations=2 --set "
                                           "grpo.zero_variance=resample --set grpo.loss_type=grpo",
                                           // With prompts of different lengths ranks do not get them in turn.
                                           "--set 'data.object_names={ring: flat and rather large ring of steel}'"),
                         [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST_P(TrainingRanks, AnyNumberGivesTheSameCompletionsAndAdapter) {
  const std::string sets = std::string("--set log.token_ids=true ") + GetParam();
  for (const int64_t ranks : {1, 2, 4}) ASSERT_EQ(run_program(ranks, lriad::concat("ranks", ranks), sets), 0);
  const auto one = completions("ranks1");
  ASSERT_GE(one.size(), 32u);
  const at::Tensor start = parameters("ranks1", 0), expected = parameters("ranks1", 3);
  EXPECT_GT((expected - start).abs().max().item<double>(), 1e-3);
  for (const std::string name : {"ranks2", "ranks4"}) {
    EXPECT_EQ(completions(name), one);
    EXPECT_LE((parameters(name, 3) - expected).abs().max().item<double>(), 1e-12) << name;
    EXPECT_NEAR(metrics(name)[2]["loss"], metrics("ranks1")[2]["loss"], 1e-12);
    for (const char* metric : {"p/defect", "advantage_right/normal", "gradient_share/defect", "alarms/one_class",
                               "completions/duplicate_ratio"}) {
      const Json alone = metrics("ranks1")[2].at(metric), together = metrics(name)[2].at(metric);
      ASSERT_EQ(together.is_null(), alone.is_null()) << metric;
      if (alone.is_null()) continue;
      EXPECT_NEAR(together, alone, 1e-12) << metric;
    }
    const double kl = metrics("ranks1")[2]["kl"];
    EXPECT_NEAR(metrics(name)[2]["kl"], kl, 1e-12 * std::max(1.0, kl));
  }
}

/// A run of 24 samples with 2 a rank, which goes on with another number of ranks after two steps.
class OtherRanks : public TrainingRun, public ::testing::WithParamInterface<std::pair<int, int>> {
 protected:
  /// What the program prints.
  static std::string run_program(int ranks, const std::string& name, int64_t max_steps) {
    std::vector<std::string> arguments = {"--config", at("grpo.yaml").string(), "--devices", std::to_string(ranks),
                                          "--output", at(name).string()};
    for (const std::string& set :
         {concat("train.max_steps=", max_steps), std::string("train.num_train_epochs=2"),
          std::string("train.save_steps=1"), std::string("train.gradient_accumulation_steps=1"),
          std::string("train.per_device_train_batch_size=2"), std::string("data.max_samples=24"),
          std::string("rollout.num_generations=2"), std::string("rollout.max_completion_length=3")}) {
      arguments.insert(arguments.end(), {"--set", set});
    }
    const Ended ended = run_program_file("lriad-train", arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return ended.err;
  }

  /// Samples in the order of the steps, and the number of samples of each step.
  static std::vector<std::string> samples(const std::string& name, std::map<int64_t, int64_t>& sizes) {
    std::vector<std::string> ids;
    std::vector<Json> all = lines(name, "completions.jsonl");
    std::ranges::stable_sort(all, {}, [](const Json& line) {
      return std::pair(line["step"].get<int64_t>(), line["prompt_index"].get<int64_t>());
    });
    for (const Json& line : all) {
      if (line["generation"] != 0) continue;
      ids.push_back(line["sample_id"].get<std::string>());
      ++sizes[line["step"].get<int64_t>()];
    }
    return ids;
  }
};

INSTANTIATE_TEST_SUITE_P(FromTo, OtherRanks, ::testing::Values(std::pair(1, 2), std::pair(2, 1), std::pair(2, 3)),
                         [](const auto& one) { return concat(one.param.first, "to", one.param.second); });

TEST_P(OtherRanks, GoOnInTheSameOrder) {
  const auto [before, after] = GetParam();
  std::map<int64_t, int64_t> ignored, sizes;
  run_program(1, "alone", -1);
  const std::vector<std::string> order = samples("alone", ignored);
  ASSERT_EQ(order.size(), 48u);
  run_program(before, "moved", 2);
  const std::string said = run_program(after, "moved", -1);
  EXPECT_EQ(samples("moved", sizes), order);
  EXPECT_EQ(sizes[2], 2 * before);
  EXPECT_EQ(sizes[3], 2 * after);
  EXPECT_DOUBLE_EQ(metrics("moved").back()["epoch"], 2.0);
  EXPECT_THAT(said, ::testing::HasSubstr(concat("goes on after sample ", 4 * before, " of epoch 1")));
}

TEST_F(TrainingRanks, RanksWithoutAPromptJoinWithNothing) {
  const std::string sets = "--set data.max_samples=2 --set train.save_steps=1 ";
  ASSERT_EQ(run_program(1, "one", sets), 0);
  ASSERT_EQ(run_program(4, "four", sets), 0);
  EXPECT_EQ(completions("four"), completions("one"));
  EXPECT_LE((parameters("four", 3) - parameters("one", 3)).abs().max().item<double>(), 1e-12);
}

}  // namespace
}  // namespace lriad

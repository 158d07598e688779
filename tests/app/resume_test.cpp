// A run that was stopped and resumed equals one that was not stopped, byte for byte.
#include "app/training_run.h"

namespace lriad {
namespace {

class Resume : public TrainingRun, public ::testing::WithParamInterface<std::vector<std::string>> {
 protected:
  /// Copies a run folder as it would be if the run had stopped after `step`.
  static void stop_after(const std::string& run, int64_t step, const std::string& copy) {
    make_folder("test", at(copy));
    for (const char* file : {"metrics.jsonl", "completions.jsonl", "config.yaml"}) {
      std::filesystem::copy(at(run) / file, at(copy) / file);
    }
    std::filesystem::copy(checkpoint(run, step), checkpoint(copy, step), std::filesystem::copy_options::recursive);
  }

  static std::string completions(const std::string& name) { return bytes(at(name) / "completions.jsonl"); }

  static void expect_same_run(const std::string& name, const std::string& other) {
    EXPECT_EQ(adapter_bytes(name, 6), adapter_bytes(other, 6));
    EXPECT_EQ(bytes(checkpoint(name, 6) / "state.safetensors"), bytes(checkpoint(other, 6) / "state.safetensors"));
    EXPECT_EQ(completions(name), completions(other));
    auto a = metrics(name), b = metrics(other);
    ASSERT_EQ(a.size(), 6u);
    ASSERT_EQ(b.size(), 6u);
    for (std::size_t k = 0; k < 6; ++k) {
      for (const auto& [key, value] : a[k].items()) {
        if (key.starts_with("time/") || key.starts_with("memory/") || key == "tokens_per_second") continue;
        EXPECT_EQ(value, b[k].value(key, Json())) << key << " of step " << k + 1;
      }
    }
  }
};

std::vector<std::string> with(std::vector<std::string> sets) {
  sets.insert(sets.end(), {"train.max_steps=6", "train.save_steps=1", "lora.lora_dropout=0.1", "log.token_ids=true"});
  return sets;
}

INSTANTIATE_TEST_SUITE_P(
    Settings, Resume,
    ::testing::Values(with({}), with({"model.dtype=float32"}), with({"grpo.num_iterations=2"}),
                      with({"grpo.num_iterations=3", "model.dtype=float32", "grpo.zero_variance=drop"}),
                      with({"grpo.num_iterations=2", "reward.focal.f_mode=running_recall", "reward.focal.f_cap=4",
                            "grpo.zero_variance=resample", "grpo.max_resamples=1"})),
    [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST_P(Resume, EqualsAnUndisturbedRun) {
  ASSERT_EQ(train("whole", GetParam()), 0);
  for (const int64_t step : {1, 2, 4, 5}) {
    const std::string name = "stopped" + std::to_string(step);
    stop_after("whole", step, name);
    ASSERT_EQ(train(name, GetParam()), 0);
    expect_same_run("whole", name);
  }
}

}  // namespace
}  // namespace lriad

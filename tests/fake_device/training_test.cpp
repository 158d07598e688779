// Whole runs of the trainer on the stand-in for a GPU against the same runs on the CPU.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <set>
#include <sstream>

#include "app/training_run.h"
#include "lriad/health/replay.h"
#include "support/fake_device.h"

namespace lriad {
namespace {

constexpr double kTolerance = 1e-8;  // in float64, relative to numbers above 1

/// Everything that both have, with numbers equal but for rounding.
void expect_same(const nlohmann::json& host, const nlohmann::json& device, const std::string& place) {
  if (host.is_number()) {
    ASSERT_TRUE(device.is_number()) << place;
    const double expected = host;
    EXPECT_NEAR(device.get<double>(), expected, kTolerance * std::max(1.0, std::abs(expected))) << place;
  } else if (host.is_structured()) {
    ASSERT_EQ(host.size(), device.size()) << place;
    const auto flat = host.flatten(), other = device.flatten();
    for (const auto& [key, value] : flat.items()) expect_same(value, other.value(key, nlohmann::json()), place + key);
  } else {
    EXPECT_EQ(host, device) << place;
  }
}

class FakeDeviceRun : public TrainingRun {
 protected:
  static int train_on_device(const std::string& name, const std::vector<std::string>& sets) {
    return train(name, sets, "auto", fake_device());
  }

  /// Metrics without those that tell of the machine: on a GPU ended rows are dropped later, so more rows pass.
  static std::vector<Json> comparable_metrics(const std::string& name) {
    std::vector<Json> all = metrics(name);
    for (Json& line : all) {
      std::set<std::string> dropped = {"tokens_per_second", "passes/rows"};
      for (const auto& [key, value] : line.items()) {
        if (key.starts_with("time/") || key.starts_with("memory/")) dropped.insert(key);
      }
      for (const std::string& key : dropped) line.erase(key);
    }
    return all;
  }

  static void expect_same_run(const std::string& host, const std::string& device, int64_t step) {
    const auto metrics = comparable_metrics(host), device_metrics = comparable_metrics(device);
    ASSERT_FALSE(metrics.empty());
    expect_same(metrics, device_metrics, "metrics");
    expect_same(lines(host, "completions.jsonl"), lines(device, "completions.jsonl"), "completions");
    const auto state = read_state(checkpoint(host, step)), device_state = read_state(checkpoint(device, step));
    ASSERT_EQ(state.size(), device_state.size());
    for (const auto& [name, tensor] : state) {
      EXPECT_TRUE(at::allclose(tensor.to(at::kDouble), device_state.at(name).to(at::kDouble), 1e-7, 1e-9)) << name;
    }
  }

  /// A run folder as it was after `step`, when the run had written no more.
  static void stop_after(const std::string& run, int64_t step, const std::string& copy) {
    make_folder("test", at(copy));
    for (const char* file : {"metrics.jsonl", "completions.jsonl", "config.yaml"}) {
      std::filesystem::copy(at(run) / file, at(copy) / file);
    }
    std::filesystem::copy(checkpoint(run, step), checkpoint(copy, step), std::filesystem::copy_options::recursive);
  }

  /// What a replay of the batch that the guard refused in step 1 prints.
  static std::string replay(const std::string& name, const std::vector<std::string>& sets, const at::Device& device) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(replay_batch(config(name, sets), at(name) / "guard" / "step-1", {}, device), 3);
    return ::testing::internal::GetCapturedStdout();
  }
};

class FakeDeviceRuns : public FakeDeviceRun, public ::testing::WithParamInterface<std::vector<std::string>> {};

INSTANTIATE_TEST_SUITE_P(
    Settings, FakeDeviceRuns,
    ::testing::Values(
        std::vector<std::string>{}, std::vector<std::string>{"grpo.loss_type=grpo", "grpo.policy_loss=logp"},
        std::vector<std::string>{"grpo.loss_type=bnpo", "grpo.kl_anchor=old"},
        std::vector<std::string>{"grpo.loss_type=dr_grpo", "grpo.kl_anchor=base", "train.shared_prefix=off"},
        std::vector<std::string>{"grpo.num_iterations=2", "lora.lora_dropout=0.1", "grpo.epsilon=0.01"},
        std::vector<std::string>{"rollout.renormalise=true", "rollout.top_k=20", "rollout.top_p=0.95"},
        std::vector<std::string>{"grpo.zero_variance=resample", "grpo.max_resamples=1", "rollout.num_generations=2"},
        std::vector<std::string>{"model.gradient_checkpointing=on", "lora.lora_dropout=0.1"},
        std::vector<std::string>{"stage=sft", "lora.lora_dropout=0.1"},
        std::vector<std::string>{"stage=sft", "trainable=all", "model.adapter=null"},
        std::vector<std::string>{"stage=sft", "model.adapter=null", "lora.target_modules=all-linear",
                                 "lora.lora_dropout=0.1"}),
    [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST_P(FakeDeviceRuns, EqualThoseOnTheCpu) {
  std::vector<std::string> sets = GetParam();
  sets.insert(sets.end(), {"train.max_steps=2", "train.save_steps=2", "log.token_ids=true"});
  ASSERT_EQ(train("host", sets), 0);
  ASSERT_EQ(train_on_device("device", sets), 0);
  expect_same_run("host", "device", 2);
}

TEST_F(FakeDeviceRun, TrainsBranchesOfTheTowerAsTheCpu) {
  ASSERT_EQ(train("taught", {"stage=sft", "model.adapter=null", "lora.target_modules=[qkv, proj, fc1, mlp.0, q_proj]",
                             "optim.learning_rate=0.02", "train.max_steps=2"}),
            0);
  for (const char* prefix : {"train.shared_prefix=auto", "train.shared_prefix=off"}) {
    const std::vector<std::string> sets = {"model.adapter=" + at("taught").string(),
                                           "grpo.kl_anchor=base",
                                           "grpo.num_iterations=2",
                                           "lora.lora_dropout=0.1",
                                           "rollout.max_completion_length=6",
                                           "train.max_steps=2",
                                           "train.save_steps=2",
                                           "log.token_ids=true",
                                           prefix};
    for (const char* name : {"host", "device"}) std::filesystem::remove_all(at(name));
    ASSERT_EQ(train("host", sets), 0);
    ASSERT_EQ(train_on_device("device", sets), 0);
    EXPECT_GT(metrics("host").at(0)["kl"], 0.0);
    expect_same_run("host", "device", 2);
  }
}

TEST_F(FakeDeviceRun, EvaluatesAsTheCpu) {
  const std::vector<std::string> sets = {
      "eval_data={format: jsonl, root: " + at("data").string() + "/data.jsonl, max_samples: 8}",
      "eval.max_new_tokens=24", "train.eval_steps=1", "train.max_steps=1", "train.save_steps=1"};
  ASSERT_EQ(train("host", sets), 0);
  ASSERT_EQ(train_on_device("device", sets), 0);
  ASSERT_TRUE(metrics("device").at(0).contains("eval_accuracy"));
  expect_same_run("host", "device", 1);
}

TEST_F(FakeDeviceRun, GoesOnFromItsOwnCheckpointAndFromOneOfTheCpu) {
  const std::vector<std::string> sets = {"train.max_steps=4", "train.save_steps=1", "lora.lora_dropout=0.1",
                                         "grpo.num_iterations=2"};
  ASSERT_EQ(train("host", sets), 0);
  ASSERT_EQ(train_on_device("device", sets), 0);
  // Step 1 is the first of the two that learn from the same completions, so they are generated again.
  stop_after("device", 1, "own");
  ASSERT_EQ(train_on_device("own", sets), 0);
  EXPECT_EQ(bytes(checkpoint("own", 4) / "state.safetensors"), bytes(checkpoint("device", 4) / "state.safetensors"));
  stop_after("host", 1, "other");
  ASSERT_EQ(train_on_device("other", sets), 0);
  expect_same_run("host", "other", 4);
}

TEST_F(FakeDeviceRun, ReplaysABatchThatTheGuardRefused) {
  const std::vector<std::string> sets = {"guard.max_grad_norm=1e-6", "guard.on_trip=stop", "lora.lora_dropout=0.1",
                                         "train.max_steps=1"};
  ASSERT_EQ(train_on_device("device", sets), 3);
  std::istringstream device(replay("device", sets, fake_device())), host(replay("device", sets, at::kCPU));
  int64_t numbers = 0;
  for (std::string word, other; device >> word;) {
    ASSERT_TRUE(host >> other);
    char* end = nullptr;
    const double number = std::strtod(word.c_str(), &end);
    if (*end != '\0') {
      EXPECT_EQ(word, other);
      continue;
    }
    ++numbers;
    EXPECT_NEAR(std::strtod(other.c_str(), nullptr), number, 1e-4 * std::max(1.0, std::abs(number)));
  }
  EXPECT_GT(numbers, 30);
}

}  // namespace
}  // namespace lriad

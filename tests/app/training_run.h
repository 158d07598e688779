#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/program.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/model/adapter_files.h"
#include "lriad/run/checkpoint.h"
#include "lriad/train/trainer.h"
#include "src/app/tool_commands.h"
#include "src/app/tool_make_data.h"
#include "support/temp_folder.h"

namespace lriad {

/// Runs the trainer in float64 on one thread, on a tiny random model with an adapter from a cold start, with which
/// about half of the completions are well-formed at temperature 0.7. Golden: scripts/golden/make_cold_start.sh.
class TrainingRun : public ::testing::Test {
 protected:
  using Json = nlohmann::json;
  using Path = std::filesystem::path;

  static void SetUpTestSuite() {
    at::set_num_threads(1);
    init_log(LogLevel::kOff);
    folder_ = std::make_unique<TempFolder>();
    command(add_make_model_command, "make-model --size tiny --seed 5 --output " + at("model").string());
    command(add_make_data_command,
            "make-data --format jsonl --images 64 --defect-rate 0.5 --objects gear,ring --size 56 "
            "--contrast-min 0.8 --contrast-max 1.0 --output " +
                at("data").string());
    write_file_atomic("test", at("grpo.yaml"), grpo_config());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  /// Removes the runs of earlier tests.
  void SetUp() override {
    for (const auto& entry : std::filesystem::directory_iterator(folder_->path())) {
      const std::string name = entry.path().filename().string();
      if (name != "model" && name != "data" && name != "grpo.yaml") std::filesystem::remove_all(entry.path());
    }
  }

  static Path at(const std::string& name) { return folder_->path() / name; }

  /// The config of grpo_config() with `sets` as by --set; output_dir is at(name).
  static LoadedConfig config(const std::string& name, const std::vector<std::string>& sets) {
    ConfigInput input;
    input.files = {at("grpo.yaml")};
    input.sets = sets;
    input.options = {{"--output", "output_dir=" + at(name).string()}};
    return load_config(input);
  }

  /// Runs training in this process and returns its exit code.
  static int train(const std::string& name, const std::vector<std::string>& sets, const std::string& resume = "auto",
                   const at::Device& device = at::kCPU) {
    const auto communicator = make_communicator(World{}, at::kCPU, 60);
    return Trainer(config(name, sets), {resume, /*dry_run=*/false}, *communicator, device).run();
  }

  static std::vector<Json> lines(const std::string& name, const std::string& file) {
    std::ifstream in(at(name) / file);
    std::vector<Json> result;
    for (std::string line; std::getline(in, line);) result.push_back(Json::parse(line));
    return result;
  }
  static std::vector<Json> metrics(const std::string& name) { return lines(name, "metrics.jsonl"); }

  /// Token ids of the answers to 4 images, a line each. model: --model and --adapter.
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

  static Path checkpoint(const std::string& name, int64_t step) {
    return at(name) / ("checkpoint-" + std::to_string(step));
  }
  static std::string bytes(const Path& file) { return read_file("test", file); }
  static std::string adapter_bytes(const std::string& name, int64_t step) {
    return bytes(checkpoint(name, step) / "adapter_model.safetensors");
  }
  /// The trained parameters in float64, flat.
  static at::Tensor parameters(const std::string& name, int64_t step) {
    return read_state(checkpoint(name, step)).at("parameters");
  }

  /// Runs a command of lriad-tool in this process.
  static void command(void (*add)(CLI::App&), const std::string& line) {
    CLI::App app;
    add(app);
    ::testing::internal::CaptureStdout();
    app.parse(line);
    ::testing::internal::GetCapturedStdout();
  }

 private:
  static std::string grpo_config() {
    return "stage: grpo\n"
           "model: {path: " +
           at("model").string() + ", adapter: " + LRIAD_GOLDEN_DIR +
           "/cold_start, dtype: float64}\n"
           "lora: {lora_dropout: 0.0}\n"
           "data: {format: jsonl, root: " +
           at("data").string() +
           "/data.jsonl}\n"
           "image: {min_pixels: 3136, max_pixels: 3136}\n"
           "rollout: {num_generations: 4, max_completion_length: 24, temperature: 0.7}\n"
           "grpo: {policy_loss: ratio, loss_type: dapo, beta: 0.04, kl_anchor: initial_adapter}\n"
           "optim: {learning_rate: 2.0e-3}\n"
           "train: {max_steps: 4, per_device_train_batch_size: 1, gradient_accumulation_steps: 4, save_steps: 100}\n"
           "log: {tensorboard: false}\n"
           "distributed: {devices: cpu}\n";
  }

  static inline std::unique_ptr<TempFolder> folder_;
};

}  // namespace lriad

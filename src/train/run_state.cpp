#include "run_state.h"

#include <ATen/ATen.h>

#include <sstream>

#include "lriad/config/load_config.h"
#include "lriad/config/model_settings.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/core/version.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMaster = "parameters";
constexpr const char* kRowsPerPass = "rows_per_pass";
constexpr const char* kLogitsPerChunk = "logits_at_once";

/// Whether the weights' files have less precision than the master values, so that these must be saved too.
bool needs_master(const Config& config) {
  if (config.model.dtype == Dtype::kFloat64) return true;
  return config.trainable == Trainable::kAll && config.model.dtype == Dtype::kBfloat16;
}

std::map<std::string, std::string> keys_of(const std::string& canonical) {
  std::map<std::string, std::string> keys;
  std::istringstream lines(canonical);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    keys[line.substr(0, colon)] = colon == std::string::npos ? "" : line.substr(colon + 1);
  }
  return keys;
}

/// Keys that may change on resuming without a warning, because they do not affect the results of a step.
bool harmless(const std::string& key) {
  for (const char* prefix : {"output_dir", "log.", "distributed.", "train.save", "train.logging_steps",
                             "train.eval_steps", "model.gradient_checkpointing", "model.vision_cache", "eval"}) {
    if (key.starts_with(prefix)) return true;
  }
  return false;
}

void compare_configs(const std::string& before, const std::string& now, const fs::path& checkpoint) {
  const auto old_keys = keys_of(before);
  std::string changed;
  for (const auto& [key, value] : keys_of(now)) {
    const auto found = old_keys.find(key);
    if (harmless(key) || (found != old_keys.end() && found->second == value)) continue;
    changed += concat(changed.empty() ? "" : ", ", key, ":", value, " (was",
                      found == old_keys.end() ? " absent" : found->second, ")");
  }
  if (!changed.empty()) {
    log_warning(
        concat("[train] ", checkpoint.string(), " was written with other settings; the run goes on with ", changed));
  }
}

std::string model_text(const RunContext& context) {
  std::string text;
  for (const auto& [name, hash] : context.model_files) text += concat(name, ' ', hash, '\n');
  return text;
}

/// Throws Error naming the file if the run used another model. Checkpoints of older versions do not record the model.
void check_model(const TrainerState& trainer, const RunContext& context, const fs::path& checkpoint) {
  const auto saved = trainer.extra.find("model");
  if (saved == trainer.extra.end() || saved->second == model_text(context)) return;
  for (const auto& [name, hash] : context.model_files) {
    if (saved->second.find(concat(name, ' ', hash, '\n')) != std::string::npos) continue;
    fail("train", checkpoint.string(), " was trained on another model: ", name, " has changed since; set model.path ",
         "back, or choose another output_dir");
  }
  fail("train", checkpoint.string(), " was trained on a model with more files than ", context.config.model.path);
}

std::map<std::string, at::Tensor> saved_weights(const RunState& run, const fs::path& checkpoint) {
  if (run.context.config.trainable == Trainable::kLora) return read_adapter(checkpoint).tensors;
  const ModelFiles files(checkpoint);
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : run.parameters.named_values()) weights[name] = files.tensor(name);
  return weights;
}

}  // namespace

void write_weights_of(const RunState& run, const fs::path& folder) {
  const RunContext& m = run.context;
  if (m.config.trainable == Trainable::kLora) {
    Adapter adapter{m.adapter, {}};
    for (const auto& [name, tensor] : run.parameters.named_values()) adapter.tensors[name] = tensor.detach().cpu();
    write_adapter(folder, adapter);
    return;
  }
  const at::ScalarType dtype = m.config.model.dtype == Dtype::kBfloat16 ? at::kBFloat16 : at::kFloat;
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : run.parameters.named_values()) tensors[name] = tensor.detach().to(at::kCPU, dtype);
  write_model_folder(m.config.model.path, folder, tensors);
}

void write_settings_of(const RunState& run, const fs::path& folder, bool chosen) {
  const Config& config = run.context.config;
  ModelSettings settings = model_settings(config);
  settings.letter_a = run.context.answer_tokens.a;
  settings.letter_b = run.context.answer_tokens.b;
  if (chosen && config.eval_data)
    settings.chosen_on = {config.eval_data->root, config.eval_data->split, config.train.metric_for_best_model};
  settings.program = "lriad-train";
  settings.version = kVersion;
  write_model_settings(folder, settings);
}

void save_run(RunState& run, const fs::path& run_dir) {
  const Config& config = run.context.config;
  CheckpointContents contents;
  contents.state = run.optimizer.state();
  if (needs_master(config)) contents.state[kMaster] = run.parameters.values().detach().cpu().clone();
  run.stage.save(run.trainer, contents.state);
  run.trainer.cursor[kRowsPerPass] = run.context.memory.rows_per_pass;
  run.trainer.cursor[kLogitsPerChunk] = run.context.memory.logits_at_once;
  run.trainer.seed = config.seed;
  run.trainer.extra["guard"] = run.guard.save();
  run.trainer.extra["config"] = canonical_config(config);
  run.trainer.extra["model"] = model_text(run.context);
  run.trainer.extra["stage"] = config.stage == Stage::kGrpo ? "grpo" : "sft";
  contents.trainer = run.trainer;
  contents.write_weights = [&run](const fs::path& folder) {
    write_weights_of(run, folder);
    write_settings_of(run, folder, run.trainer.best_step == run.trainer.global_step);
  };
  write_checkpoint(run_dir, contents);
  if (config.train.save_total_limit) limit_checkpoints(run_dir, *config.train.save_total_limit, run.trainer.best_step);
}

void restore_run(RunState& run, const fs::path& checkpoint) {
  const Config& config = run.context.config;
  TrainerState trainer = read_trainer_state(checkpoint);
  const auto text = [&](const char* key) {
    const auto found = trainer.extra.find(key);
    if (found == trainer.extra.end()) fail("train", checkpoint.string(), ": trainer_state.json lacks ", key);
    return found->second;
  };
  const char* stage = config.stage == Stage::kGrpo ? "grpo" : "sft";
  if (text("stage") != stage) {
    fail("train", checkpoint.string(), " is of stage ", text("stage"), ", the config says ", stage,
         "; choose another output_dir");
  }
  if (trainer.seed != config.seed) {
    fail("train", checkpoint.string(), " was made with seed ", trainer.seed, ", the config says ", config.seed,
         "; set seed back, or choose another output_dir");
  }
  check_model(trainer, run.context, checkpoint);
  compare_configs(text("config"), canonical_config(config), checkpoint);
  const std::map<std::string, at::Tensor> state = read_state(checkpoint);
  run.parameters.load_values(saved_weights(run, checkpoint));
  if (const auto master = state.find(kMaster); master != state.end()) {
    const at::NoGradGuard no_grad;
    run.parameters.values().copy_(master->second);
    run.parameters.publish_values();
  }
  // The division of a step into passes affects the last bits of its sums, so it is kept although the free memory may
  // have changed.
  const auto take = [&](const char* name, int64_t& value) {
    const auto saved = trainer.cursor.find(name);
    if (saved == trainer.cursor.end()) return;
    if (saved->second < 1)
      fail("train", checkpoint.string(), ": ", name, " is ", saved->second, ", expected 1 or more");
    value = saved->second;
  };
  take(kRowsPerPass, run.context.memory.rows_per_pass);
  take(kLogitsPerChunk, run.context.memory.logits_at_once);
  run.optimizer.restore(state);
  run.guard.restore(text("guard"));
  run.stage.restore(trainer, state);
  run.trainer = std::move(trainer);
}

}  // namespace lriad

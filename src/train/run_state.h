#pragma once

#include <filesystem>
#include <optional>

#include "lriad/health/guard.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/run_context.h"
#include "lriad/train/optimizer.h"
#include "training_stage.h"

namespace lriad {

/// The parts of a run that a checkpoint holds.
struct RunState {
  RunContext& context;
  FlatParameters& parameters;
  AdamW& optimizer;
  TrainingStage& stage;
  HealthGuard& guard;
  TrainerState trainer;
};

/// Writes checkpoint-<global_step>, then removes older checkpoints beyond train.save_total_limit.
void save_run(RunState& run, const std::filesystem::path& run_dir);

/// Restores the state of a checkpoint. Throws Error if it belongs to another stage, seed, model or adapter shape; logs
/// a warning for other keys that differ.
void restore_run(RunState& run, const std::filesystem::path& checkpoint);

/// Writes lriad_settings.json; `chosen`: the weights beside it are those of the best evaluation so far.
void write_settings_of(const RunState& run, const std::filesystem::path& folder, bool chosen);

/// Writes the result of the run: the adapter, or with trainable: all the whole model folder.
void write_weights_of(const RunState& run, const std::filesystem::path& folder);

}  // namespace lriad

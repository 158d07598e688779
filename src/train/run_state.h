#pragma once

#include <filesystem>
#include <optional>

#include "lriad/health/guard.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/run_context.h"
#include "lriad/train/optimizer.h"
#include "training_stage.h"

namespace lriad {

/// The trained part of a run: what a checkpoint holds.
struct RunState {
  RunContext& context;
  FlatParameters& parameters;
  AdamW& optimizer;
  TrainingStage& stage;
  HealthGuard& guard;
  TrainerState trainer;
};

/// Writes checkpoint-<global_step> of the run folder, then removes what save_total_limit no longer allows.
void save_run(RunState& run, const std::filesystem::path& run_dir);

/// Brings the run to where the checkpoint was written. Throws Error if it belongs to another stage, seed, model or
/// adapter shape; warns of other keys that differ.
void restore_run(RunState& run, const std::filesystem::path& checkpoint);

/// Writes what the run leaves for use: the adapter, or the whole model folder (trainable: all).
void write_weights_of(const RunState& run, const std::filesystem::path& folder);

}  // namespace lriad

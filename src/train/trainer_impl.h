#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "evaluation.h"
#include "lriad/health/guard.h"
#include "lriad/run/metrics_log.h"
#include "lriad/run/phase_clock.h"
#include "lriad/run/progress.h"
#include "lriad/run/run_context.h"
#include "lriad/run/run_folder.h"
#include "lriad/train/optimizer.h"
#include "lriad/train/trainer.h"
#include "run_state.h"
#include "training_stage.h"

namespace lriad {

/// The files of the run folder, which only the main rank has.
struct RunFiles {
  explicit RunFiles(const std::filesystem::path& folder) : lock(folder) {}
  RunLock lock;
  std::unique_ptr<RunLog> log;
};

struct Trainer::Impl {
  Impl(const LoadedConfig& loaded_config, const TrainOptions& given, Communicator& world, const at::Device& device);

  int run();
  RunInputs prepare(const at::Device& device);
  void take_folder();
  void count_steps();
  void open_logs();
  std::filesystem::path agree_on_checkpoint();
  void start_progress();
  void enter(const std::string& phase);
  bool step(int64_t number);
  bool update(const StepResult& result, StepMetrics& metrics, int64_t number);
  double agreed_norm();
  void keep_batch(const StepHealth& health, const std::string& reason, int64_t number);
  Evaluation evaluate_step(int64_t number, StepMetrics& metrics);
  void show_evaluation(const Evaluation& evaluation, int64_t number);
  void log_step(const StepResult& result, StepMetrics& metrics);
  void save();
  int agreed_signal();
  void finish();
  RunState state() { return {context, parameters, optimizer, *stage, guard, trainer}; }

  LoadedConfig loaded;
  TrainOptions options;
  Communicator& communicator;
  std::optional<RunFiles> files;
  std::filesystem::path checkpoint;  ///< to go on from; empty: none
  RunContext context;
  const Config& config;
  FlatParameters parameters;
  AdamW optimizer;
  HealthGuard guard;
  std::optional<Progress> progress;
  PhaseClock clock;
  std::unique_ptr<TrainingStage> stage;
  TrainerState trainer;
  int64_t total_steps = 0;
  int64_t present_step = 0;
  std::string position = "start";  ///< step and phase, for messages
  int64_t saved_step = -1;
};

}  // namespace lriad

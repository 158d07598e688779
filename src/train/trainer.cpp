#include "lriad/train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "evaluation.h"
#include "grpo_stage.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/train/run_folder.h"
#include "lriad/train/schedule.h"
#include "run_state.h"
#include "sft_stage.h"
#include "stop_signal.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr int kGuardExit = 3;

/// Weight decay skips biases and norms, as transformers' Trainer.
bool decays(const std::string& name, const at::Tensor& tensor) {
  return tensor.dim() > 1 && !name.ends_with(".bias") && name.find("norm") == std::string::npos;
}

std::vector<TrainedParameter> trained_parameters(Materials& m) {
  std::vector<TrainedParameter> trained;
  if (m.config.trainable == Trainable::kLora) {
    for (const auto& [name, tensor] : m.model->lora_parameters()) trained.push_back({name, tensor, true});
    return trained;
  }
  for (const auto& item : m.model->named_parameters()) {
    item.value().requires_grad_(true);
    trained.push_back({item.key(), item.value(), decays(item.key(), item.value())});
  }
  return trained;
}

std::unique_ptr<TrainingStage> make_stage(Materials& m, FlatParameters& parameters, Communicator& communicator,
                                          PhaseClock& clock) {
  if (m.config.stage == Stage::kSft) return std::make_unique<SftStage>(m, parameters, communicator, clock);
  return std::make_unique<GrpoStage>(m, parameters, communicator, clock);
}

/// The figures of a step that a terminal has room for.
NamedFigures shown_figures(const StepMetrics& metrics) {
  NamedFigures shown;
  const auto all = metrics.scalars();
  for (const char* name :
       {"loss", "reward", "accuracy", "recall/defect", "recall/normal", "kl", "grad_norm", "learning_rate"}) {
    const auto found = std::ranges::find_if(all, [name](const auto& one) { return one.first == name; });
    if (found != all.end()) shown.push_back(*found);
  }
  return shown;
}

/// What only the main rank has: the files of the run folder.
struct RunFiles {
  explicit RunFiles(const fs::path& folder) : lock(folder) {}
  RunLock lock;
  std::unique_ptr<RunLog> log;
};

}  // namespace

struct Trainer::Impl {
  Impl(const LoadedConfig& loaded_config, const TrainOptions& given, Communicator& world, const at::Device& device)
      : loaded(loaded_config),
        options(given),
        communicator(world),
        materials(load_materials(loaded_config.config, device)),
        config(materials.config),
        parameters(trained_parameters(materials)),
        optimizer(parameters, config.optim),
        guard(config.guard),
        clock(device) {
    require_agreement(communicator, fingerprints(materials));
    stage = make_stage(materials, parameters, communicator, clock);
    const double epochs = config.train.num_train_epochs * static_cast<double>(stage->steps_per_epoch());
    total_steps = config.train.max_steps > 0 ? config.train.max_steps : static_cast<int64_t>(std::ceil(epochs));
  }

  int run();
  void open_folder();
  fs::path agree_on_checkpoint();
  void start_progress();
  bool step(int64_t number);
  bool update(const StepFigures& figures, StepMetrics& metrics, int64_t number);
  void evaluate_step(int64_t number, StepMetrics& metrics);
  void log_step(const StepFigures& figures, StepMetrics& metrics);
  void save();
  int agreed_signal();
  void finish();
  RunState state() { return {materials, parameters, optimizer, *stage, guard, trainer}; }

  LoadedConfig loaded;
  TrainOptions options;
  Communicator& communicator;
  Materials materials;
  const Config& config;
  FlatParameters parameters;
  AdamW optimizer;
  HealthGuard guard;
  std::optional<Progress> progress;
  PhaseClock clock;
  std::unique_ptr<TrainingStage> stage;
  TrainerState trainer;
  std::optional<RunFiles> files;
  int64_t total_steps = 0;
  int64_t saved_step = -1;
};

Trainer::Trainer(const LoadedConfig& loaded, const TrainOptions& options, Communicator& communicator,
                 const at::Device& device)
    : impl_(std::make_unique<Impl>(loaded, options, communicator, device)) {}
Trainer::~Trainer() = default;
int Trainer::run() { return impl_->run(); }

int Trainer::Impl::run() {
  if (options.dry_run) {
    log_info(concat("dry run: all is ready for ", total_steps, " steps; nothing was written"));
    return 0;
  }
  const StopSignal signals;
  open_folder();
  start_progress();
  if (trainer.global_step == 0 && saved_step < 0 && config.train.save_steps > 0) save();
  int signal = agreed_signal();
  while (trainer.global_step < total_steps && signal == 0) {
    const int64_t number = trainer.global_step + 1;
    communicator.set_place(concat("step ", number));
    if (!step(number)) return kGuardExit;
    signal = agreed_signal();
    const bool due = config.train.save_steps > 0 && (number % config.train.save_steps == 0 || number == total_steps);
    if (due || signal != 0 || trainer.best_step == number) save();
  }
  if (signal != 0) {
    log_warning(concat("[train] stopped by signal ", signal, " after step ", trainer.global_step,
                       ", which is saved; the same ", "command goes on from there"));
    return 128 + signal;
  }
  finish();
  return 0;
}

/// The main rank takes the folder; all ranks restore the same checkpoint.
void Trainer::Impl::open_folder() {
  const fs::path folder = config.output_dir;
  if (communicator.is_main()) {
    make_folder("train", folder);
    files.emplace(folder);
    set_log_file(folder / "log.txt");
    remove_leftovers(folder);
  }
  const fs::path checkpoint = agree_on_checkpoint();
  RunState run = state();
  if (!checkpoint.empty()) {
    restore_run(run, checkpoint);
    trainer = run.trainer;
    saved_step = trainer.global_step;
    log_info(concat("resuming from ", checkpoint.string(), ", after step ", trainer.global_step));
  }
  if (!communicator.is_main()) return;
  discard_checkpoints_after(folder, checkpoint.empty() ? -1 : trainer.global_step);
  truncate_run_logs(folder, trainer.global_step);
  write_file_atomic("train", folder / "config.yaml", print_config(loaded));
  files->log = std::make_unique<RunLog>(folder, config.log);
}

fs::path Trainer::Impl::agree_on_checkpoint() {
  std::string chosen;
  if (communicator.is_main()) {
    if (const auto found = find_checkpoint(config.output_dir, options.resume)) chosen = found->string();
  }
  return communicator.gather(chosen, "checkpoint to resume from").front();
}

void Trainer::Impl::start_progress() {
  const bool shown = communicator.is_main();
  progress.emplace(trainer.global_step, total_steps, shown);
  clock.show_on(*progress);
  if (!shown) return;
  log_info(concat(config.stage == Stage::kSft ? "stage sft: " : "stage grpo: ", total_steps, " steps, ",
                  stage->steps_per_epoch(), " an epoch; ", parameters.values().numel(), " trained parameters; ",
                  communicator.size(), communicator.size() == 1 ? " process" : " processes", "; run folder ",
                  config.output_dir));
}

/// One optimizer step; false when the guard ends the run.
bool Trainer::Impl::step(int64_t number) {
  const auto start = std::chrono::steady_clock::now();
  parameters.zero_gradients();
  const StepFigures figures = stage->gradients(number);
  StepMetrics metrics(number, static_cast<double>(number) / static_cast<double>(stage->steps_per_epoch()));
  const bool go_on = update(figures, metrics, number);
  trainer.global_step = number;
  trainer.epoch = static_cast<double>(number) / static_cast<double>(stage->steps_per_epoch());
  for (const auto& [name, value] : figures.figures) {
    if (value) {
      metrics.add(name, *value);
    } else {
      metrics.add_null(name);
    }
  }
  if (config.train.eval_steps > 0 && number % config.train.eval_steps == 0) evaluate_step(number, metrics);
  const NamedFigures phases = clock.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics.add("time/step", seconds);
  for (const auto& [name, value] : phases) metrics.add("time/" + name, value);
  metrics.add("tokens_per_second", static_cast<double>(figures.tokens) / seconds);
  metrics.add("memory/peak_gb", peak_memory_gb(materials.device));
  log_step(figures, metrics);
  progress->step_done(number, shown_figures(metrics), phases, number % config.train.logging_steps == 0);
  return go_on;
}

/// Sums the gradient over the ranks, lets the guard look, clips, moves the weights. A step without anything left, or
/// one that the guard refuses, leaves weights and Adam as they are; the schedule goes on. False when the guard ends the
/// run.
bool Trainer::Impl::update(const StepFigures& figures, StepMetrics& metrics, int64_t number) {
  clock.enter("exchange");
  communicator.sum(parameters.gradients(), "gradient");
  clock.enter("optimizer");
  const double rate = config.optim.learning_rate * schedule_factor(config.optim.lr_scheduler_type, number - 1,
                                                                   total_steps, config.optim.warmup_ratio);
  const double norm = parameters.gradients().norm().item<double>();
  std::optional<std::string> trip;
  if (!figures.nothing_left) trip = guard.check({figures.loss, norm, figures.kl, figures.finite});
  if (figures.nothing_left || trip) {
    metrics.add_null("loss");
    metrics.add_null("grad_norm");
  } else {
    optimizer.clip_gradients();
    optimizer.step(rate);
    parameters.publish_values();
    metrics.add("loss", figures.loss);
    metrics.add("grad_norm", norm);
  }
  metrics.add("learning_rate", rate);
  if (figures.nothing_left)
    log_warning(concat("[train] step ", number, ": no completion counts, the weights stay as they are"));
  if (!trip) return true;
  log_warning(concat("[train] step ", number, ": the health guard left the weights as they are: ", *trip));
  if (!guard.must_stop()) return true;
  log_error(concat("[train] stopped by the health guard at step ", number, " (guard.on_trip, guard.stop_after): ",
                   *trip, "; the last checkpoint is unharmed: lower optim.learning_rate, or raise the guard's limits"));
  return false;
}

void Trainer::Impl::evaluate_step(int64_t number, StepMetrics& metrics) {
  clock.enter("evaluation");
  const std::string best = "eval_" + config.train.metric_for_best_model;
  for (const auto& [name, value] : evaluate_model(materials, communicator)) {
    if (!value) {
      metrics.add_null(name);
      continue;
    }
    metrics.add(name, *value);
    if (name != best || (trainer.best_metric && *value <= *trainer.best_metric)) continue;
    trainer.best_metric = *value;
    trainer.best_step = number;
    log_info(concat("best ", name, " so far: ", *value, " after step ", number));
  }
}

void Trainer::Impl::log_step(const StepFigures& figures, StepMetrics& metrics) {
  if (metrics.step() % config.train.logging_steps == 0) trainer.log_history.push_back(metrics.json());
  if (!files) return;
  for (const std::string& line : figures.completions) files->log->write_completion(line);
  files->log->write(metrics);
}

void Trainer::Impl::save() {
  if (saved_step == trainer.global_step) return;
  saved_step = trainer.global_step;
  clock.enter("checkpoint");
  if (files) {
    files->log->sync();
    RunState run = state();
    save_run(run, config.output_dir);
  }
  communicator.barrier("checkpoint");
  clock.finish();
}

/// A signal that any rank got, so that all stop after the same step; 0: none.
int Trainer::Impl::agreed_signal() {
  int agreed = 0;
  for (const std::string& number : communicator.gather(concat(StopSignal::number()), "signals")) {
    agreed = std::max(agreed, std::stoi(number));
  }
  return agreed;
}

void Trainer::Impl::finish() {
  if (communicator.is_main()) {
    write_weights_of(state(), config.output_dir);
    set_status_line("");
    log_info(concat("done: ", config.trainable == Trainable::kLora ? "adapter" : "model", " in ", config.output_dir,
                    trainer.best_step >= 0 ? concat("; best checkpoint: checkpoint-", trainer.best_step) : ""));
  }
  communicator.barrier("end");
}

}  // namespace lriad

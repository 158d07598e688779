#include "lriad/train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "grpo_stage.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/dist/rank_sums.h"
#include "lriad/run/stop_signal.h"
#include "model_card.h"
#include "sft_stage.h"
#include "trainer_impl.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<TrainingStage> make_stage(RunContext& m, FlatParameters& parameters, Communicator& communicator,
                                          PhaseClock& clock) {
  if (m.config.stage == Stage::kSft) return std::make_unique<SftStage>(m, parameters, communicator, clock);
  return std::make_unique<GrpoStage>(m, parameters, communicator, clock);
}

}  // namespace

Trainer::Impl::Impl(const LoadedConfig& loaded_config, const TrainOptions& given, Communicator& world,
                    const at::Device& device)
    : loaded(loaded_config),
      options(given),
      communicator(world),
      context(load_run_context(prepare(device), device)),
      config(context.config),
      parameters(trained_parameters(context.model, config.trainable)),
      optimizer(parameters, config.optim),
      guard(config.guard),
      clock(device) {
  // Free memory differs between ranks; all take the smallest sizes, since a checkpoint records one for all of them.
  int64_t &rows = context.memory.rows_per_pass, &logits = context.memory.logits_at_once;
  for (const auto& own :
       gather_numbers(communicator, {static_cast<double>(rows), static_cast<double>(logits)}, "sizes of a pass")) {
    rows = std::min(rows, static_cast<int64_t>(own[0]));
    logits = std::min(logits, static_cast<int64_t>(own[1]));
  }
  if (!context.memory.fits()) {
    log_warning(concat("[train] the memory plan needs ", context.memory.peak() >> 20, " MiB and ",
                       context.memory.memory_bytes >> 20, " MiB are free: see lriad-train --plan"));
  }
  stage = make_stage(context, parameters, communicator, clock);
  count_steps();
}

/// Counts the steps of the run, which depend on where a checkpoint of another batch size stands.
void Trainer::Impl::count_steps() {
  const TrainSection& train = config.train;
  total_steps =
      train.max_steps > 0 ? train.max_steps : stage->order().steps(train.num_train_epochs, stage->steps_per_batch());
}

/// Everything that can end the run early comes before the weights, which take minutes to read: inputs that are wrong or
/// differ between ranks, a run folder in use, a damaged checkpoint.
RunInputs Trainer::Impl::prepare(const at::Device& device) {
  RunInputs inputs = load_run_inputs(loaded.config, device, communicator.size());
  require_agreement(communicator, fingerprints(inputs));
  take_folder();
  return inputs;
}

/// The main rank chooses the checkpoint to go on from and locks the run folder, unless the run is dry and writes
/// nothing.
void Trainer::Impl::take_folder() {
  const fs::path folder = loaded.config.output_dir;
  std::string chosen;
  if (communicator.is_main()) {
    if (!options.dry_run) {
      make_folder("train", folder);
      files.emplace(folder);
      set_log_file(folder / "log.txt");
      remove_leftovers(folder);
    }
    if (const auto found = find_checkpoint(folder, options.resume)) chosen = found->string();
  }
  checkpoint = communicator.gather(chosen, "checkpoint to resume from").front();
}

int print_plan(const LoadedConfig& loaded, const at::Device& device, int64_t num_ranks,
               std::optional<int64_t> gpu_bytes) {
  PlanInput input = load_run_inputs(loaded.config, device, num_ranks).plan;
  if (gpu_bytes) {
    input.on_cpu = false;
    input.memory_bytes =
        static_cast<int64_t>(loaded.config.distributed.memory_fraction * static_cast<double>(*gpu_bytes));
  }
  const MemoryPlan plan = plan_memory(input);
  std::cout << plan.table();
  if (plan.fits()) return 0;
  const auto change = smallest_change(input);
  fail("train", "the run needs ", plan.peak() >> 20, " MiB, the device has ", plan.memory_bytes >> 20, " MiB free; ",
       change ? "it would fit with " + *change : "take a smaller model or a larger device");
}

Trainer::Trainer(const LoadedConfig& loaded, const TrainOptions& options, Communicator& communicator,
                 const at::Device& device)
    : impl_(std::make_unique<Impl>(loaded, options, communicator, device)) {}
Trainer::~Trainer() = default;
int Trainer::run() {
  try {
    return impl_->run();
  } catch (const c10::Error&) {
    log_error(concat("[train] rank ", impl_->communicator.rank(), ", ", impl_->position,
                     ": the computation failed (its reason follows); checkpoints written before are intact"));
    throw;
  }
}

int Trainer::Impl::run() {
  if (options.dry_run) {
    log_info(concat("dry run: all is ready for ", total_steps, " steps; nothing was written"));
    return 0;
  }
  const StopSignal signals;
  open_logs();
  start_progress();
  if (trainer.global_step == 0 && saved_step < 0 && config.train.save_steps > 0) save();
  int signal = agreed_signal();
  while (trainer.global_step < total_steps && signal == 0) {
    const int64_t number = trainer.global_step + 1;
    present_step = number;
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

/// All ranks restore the checkpoint; the main rank brings the folder's files to where the run goes on.
void Trainer::Impl::open_logs() {
  const fs::path folder = config.output_dir;
  RunState run = state();
  if (!checkpoint.empty()) {
    restore_run(run, checkpoint);
    trainer = run.trainer;
    saved_step = trainer.global_step;
    count_steps();
    log_info(concat("resuming from ", checkpoint.string(), ", after step ", trainer.global_step));
  }
  if (!communicator.is_main()) return;
  discard_checkpoints_after(folder, checkpoint.empty() ? -1 : trainer.global_step);
  truncate_run_logs(folder, trainer.global_step);
  write_file_atomic("train", folder / "config.yaml", print_config(loaded));
  files->log = std::make_unique<RunLog>(folder, config.log);
}

void Trainer::Impl::start_progress() {
  const bool shown = communicator.is_main();
  progress.emplace(trainer.global_step, total_steps, shown);
  present_step = trainer.global_step;
  clock.tell([this](const std::string& phase) { enter(phase); });
  if (!shown) return;
  log_info(concat(config.stage == Stage::kSft ? "stage sft: " : "stage grpo: ", total_steps, " steps, ",
                  stage->steps_per_epoch(), " an epoch; ", parameters.values().numel(), " trained parameters; ",
                  communicator.size(), communicator.size() == 1 ? " process" : " processes", "; run folder ",
                  config.output_dir));
}

/// To be called when a phase of the step begins. Throws if another rank is lost, so that this one need not wait for the
/// next collective to notice.
void Trainer::Impl::enter(const std::string& phase) {
  position = concat("step ", present_step, ", ", phase);
  communicator.set_position(position);
  communicator.check();
  progress->phase(phase);
}

void Trainer::Impl::save() {
  if (saved_step == trainer.global_step) return;
  saved_step = trainer.global_step;
  clock.enter("checkpoint");
  if (files) {
    files->lock.check();
    files->log->sync();
    RunState run = state();
    save_run(run, config.output_dir);
  }
  communicator.barrier("checkpoint");
  clock.finish();
}

/// The signal that any rank received, so that all stop after the same step; 0: none.
int Trainer::Impl::agreed_signal() {
  int agreed = 0;
  for (const std::string& number : communicator.gather(concat(StopSignal::number()), "signals")) {
    agreed = std::max(agreed, std::stoi(number));
  }
  return agreed;
}

void Trainer::Impl::finish() {
  if (communicator.is_main()) {
    files->lock.check();
    const RunState run = state();
    write_weights_of(run, config.output_dir);
    write_settings_of(run, config.output_dir, /*chosen=*/false);
    write_file_atomic("train", fs::path(config.output_dir) / "README.md", model_card(run));
    set_status_line("");
    log_info(concat("done: ", config.trainable == Trainable::kLora ? "adapter" : "model", " in ", config.output_dir,
                    trainer.best_step >= 0 ? concat("; best checkpoint: checkpoint-", trainer.best_step,
                                                    ", chosen on eval_data ", config.eval_data->root)
                                           : ""));
  }
  communicator.barrier("end");
}

}  // namespace lriad

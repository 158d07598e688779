// One training step: gradients of the stage, update, metrics.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/dist/rank_sums.h"
#include "lriad/health/refused_batch.h"
#include "lriad/train/schedule.h"
#include "model_card.h"
#include "trainer_impl.h"

namespace lriad {
namespace {

/// The metrics that are shown in the terminal and the log.
NamedMetrics shown_metrics(const StepMetrics& metrics) {
  NamedMetrics shown;
  const auto all = metrics.scalars();
  for (const char* name : {"loss", "reward", "accuracy", "recall/defect", "recall/normal", "zero_std/defect",
                           "zero_std/normal", "gradient_share/defect", "kl", "grad_norm", "learning_rate"}) {
    const auto found = std::ranges::find_if(all, [name](const auto& one) { return one.first == name; });
    if (found != all.end()) shown.push_back(*found);
  }
  return shown;
}

}  // namespace

/// Does one optimizer step; returns false if the health guard ends the run.
bool Trainer::Impl::step(int64_t number) {
  const auto start = std::chrono::steady_clock::now();
  parameters.zero_gradients();
  const PassCounts before = context.model->counts();
  const StepResult result = stage->gradients(number);
  const double epoch = stage->order().epochs(number, stage->steps_per_batch());
  StepMetrics metrics(number, epoch);
  const bool go_on = update(result, metrics, number);
  trainer.global_step = number;
  trainer.epoch = epoch;
  metrics.add(result.metrics);
  std::optional<Evaluation> evaluation;
  if (config.train.eval_steps > 0 && number % config.train.eval_steps == 0) evaluation = evaluate_step(number, metrics);
  const NamedMetrics phases = clock.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics.add("time/step", seconds);
  for (const auto& [name, value] : phases) metrics.add("time/" + name, value);
  if (result.tokens) {
    metrics.add("tokens_per_second", static_cast<double>(*result.tokens) / seconds);
  } else {
    metrics.add_null("tokens_per_second");
  }
  const PassCounts after = context.model->counts();
  const auto passes = sum_over_ranks(
      communicator, {static_cast<double>(after.rows - before.rows), static_cast<double>(after.images - before.images)},
      "passes");
  metrics.add("passes/rows", passes[0]);
  metrics.add("passes/images", passes[1]);
  metrics.add("memory/peak_gb", peak_memory_gb(context.device));
  log_step(result, metrics);
  if (evaluation) show_evaluation(*evaluation, number);
  progress->step_done(number, shown_metrics(metrics), phases, number % config.train.logging_steps == 0);
  return go_on;
}

/// Sums the gradient over the ranks, asks the health guard, clips and updates the weights. If no completion has a
/// weight or the guard refuses the step, weights and optimizer state are not changed, but the schedule advances.
/// Returns false if the guard ends the run.
bool Trainer::Impl::update(const StepResult& result, StepMetrics& metrics, int64_t number) {
  clock.enter("exchange");
  communicator.sum(parameters.gradients(), "gradient");
  clock.enter("optimizer");
  const double rate = config.optim.learning_rate * schedule_factor(config.optim.lr_scheduler_type, number - 1,
                                                                   total_steps, config.optim.warmup_ratio);
  const double norm = agreed_norm();
  const StepHealth health{result.loss, norm, result.kl, result.finite};
  std::optional<std::string> trip;
  if (!result.nothing_left) trip = guard.check(health);
  if (result.nothing_left || trip) {
    metrics.add_null("loss");
    metrics.add_null("grad_norm");
  } else {
    optimizer.clip_gradients();
    optimizer.step(rate);
    parameters.publish_values();
    metrics.add("loss", result.loss);
    metrics.add("grad_norm", norm);
  }
  metrics.add("learning_rate", rate);
  if (result.nothing_left)
    log_warning(concat("[train] step ", number, ": all completions are left out, so the weights are not updated"));
  if (!trip) return true;
  log_warning(concat("[train] step ", number, ": the health guard refused the update: ", *trip));
  keep_batch(health, *trip, number);
  if (!guard.must_stop()) return true;
  log_error(concat("[train] stopped by the health guard at step ", number, " (guard.on_trip, guard.stop_after): ",
                   *trip, "; the last checkpoint is intact: lower optim.learning_rate, or raise the guard's limits"));
  return false;
}

/// The norm of the gradient. Throws LostRank if the ranks differ in the norms of gradient or weights.
double Trainer::Impl::agreed_norm() {
  const std::vector<double> own = {parameters.gradients().norm().item<double>(),
                                   parameters.values().norm().item<double>()};
  return require_same(communicator, own, "norms of gradient and weights", concat("step ", present_step)).front();
}

/// Writes this rank's part of the refused batch, for --replay. A failure is logged and does not end the run.
void Trainer::Impl::keep_batch(const StepHealth& health, const std::string& reason, int64_t number) {
  clock.enter("guard");
  const std::filesystem::path folder = std::filesystem::path(config.output_dir) / "guard" / concat("step-", number);
  RefusedBatch batch;
  batch.step = number;
  batch.rank = communicator.rank();
  batch.num_ranks = communicator.size();
  batch.reason = reason;
  batch.health = health;
  batch.guard = guard.save();
  batch.config = canonical_config(config);
  batch.last_saved = saved_step;
  if (config.trainable == Trainable::kLora) batch.adapter = {context.adapter, parameters.named_values()};
  try {
    batch.passes = stage->passes(number);
    make_subfolder("train", folder.parent_path());
    make_subfolder("train", folder);
    write_refused_batch(folder / concat("rank-", communicator.rank(), ".safetensors"), batch);
    log_info(concat("the refused batch was saved: lriad-train --replay ", folder.string()));
  } catch (const Error& error) {
    log_warning(concat("[train] the refused batch cannot be saved for --replay: ", error.what()));
  }
}

Evaluation Trainer::Impl::evaluate_step(int64_t number, StepMetrics& metrics) {
  clock.enter("evaluation");
  const std::string best = "eval_" + config.train.metric_for_best_model;
  Evaluation evaluation = evaluate_model(context, communicator);
  trainer.extra["evaluation"] = evaluation_section(config, evaluation.report, number);
  for (const auto& [name, value] : evaluation_metrics(evaluation.report, config.train)) {
    if (!value) {
      metrics.add_null(name);
      continue;
    }
    metrics.add(name, *value);
    if (name != best || (trainer.best_metric && *value <= *trainer.best_metric)) continue;
    trainer.best_metric = *value;
    trainer.best_step = number;
    log_info(concat("best ", name, " so far: ", *value, " after step ", number, ", chosen on eval_data ",
                    config.eval_data->root, ", split ", config.eval_data->split));
  }
  return evaluation;
}

/// Writes <output_dir>/report and TensorBoard's examples, after the step's line of metrics.jsonl, which the report's
/// curves show. A report that cannot be written is logged and does not end the run.
void Trainer::Impl::show_evaluation(const Evaluation& evaluation, int64_t number) {
  if (!files) return;
  if (files->log->shows_examples()) files->log->write_examples(number, evaluation_examples(evaluation, context));
  const std::filesystem::path folder = std::filesystem::path(config.output_dir) / "report";
  try {
    make_subfolder("train", folder);
    write_report(folder, evaluation_report(evaluation, context, number, trainer.best_step == number));
  } catch (const Error& error) {
    log_warning(concat("[train] the report of the evaluation cannot be written: ", error.what()));
  }
}

void Trainer::Impl::log_step(const StepResult& result, StepMetrics& metrics) {
  if (metrics.step() % config.train.logging_steps == 0) trainer.add_log(metrics.json());
  if (!files) return;
  files->lock.check();
  for (const std::string& line : result.completions) files->log->write_completion(line);
  files->log->write(metrics);
}

}  // namespace lriad

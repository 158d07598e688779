#include "grpo_stage.h"

#include <ATen/ATen.h>

#include "grpo_records.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/dist/rank_sums.h"

namespace lriad {
namespace {

constexpr const char* kSamplingPrefix = "sampling.";

}  // namespace

GrpoStage::GrpoStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock)
    : context_(context),
      config_(context.config),
      parameters_(parameters),
      communicator_(communicator),
      clock_(clock),
      rollouts_(context, communicator, clock),
      learner_(context, parameters, clock) {}

/// The step that made the rollouts from which `step` learns.
int64_t GrpoStage::sampling_step(int64_t step) const {
  return (step - 1) / config_.grpo.num_iterations * config_.grpo.num_iterations + 1;
}

/// One step as in figure 2 of the paper.
StepResult GrpoStage::gradients(int64_t step) {
  const bool first = sampling_step(step) == step;
  if (first) make_rollouts(step);
  const LearningSums sums = learner_.learn(groups_, step, first);  // reference, policy, loss, gradient
  return result(step, over_ranks(sums));
}

void GrpoStage::make_rollouts(int64_t step) {
  recall_at_sampling_ = rollouts_.recall.save();
  if (config_.grpo.num_iterations > 1) sampling_adapter_ = copies(parameters_.named_values(), kSamplingPrefix);
  groups_ = rollouts_.sample((step - 1) / config_.grpo.num_iterations, step);  // G completions of each prompt
  rollouts_.score(groups_);                                                    // verdicts and rewards
  rollouts_.resample(groups_, step);                                           // if grpo.zero_variance asks for it
  normalise();                                                                 // advantages and weights
}

/// Computes advantages and weights, which depend on the groups of all ranks.
void GrpoStage::normalise() {
  clock_.enter("exchange");
  std::vector<GroupSummary> summaries;
  for (const Group& group : groups_) summaries.push_back(summarise(group));
  all_groups_ = gather_groups(communicator_, summaries);
  step_weights_ = step_weights(all_groups_, config_.grpo, config_.rollout.max_completion_length);
  num_tokens_ += tokens_seen(all_groups_);
  auto own = groups_.begin();
  for (std::size_t k = 0; k < all_groups_.size(); ++k) {
    const GroupSummary& summary = all_groups_[k];
    for (const CompletionSummary& one : summary.completions)
      rollouts_.recall.add(summary.is_defect, summary.right(one));
    if (own == groups_.end() || own->prompt_index != summary.prompt_index) continue;
    for (std::size_t i = 0; i < own->completions.size(); ++i) {
      own->completions[i].advantage = step_weights_.advantages[k][i];
      own->completions[i].weight = step_weights_.weights[k][i];
    }
    ++own;
  }
}

LearningSums GrpoStage::over_ranks(const LearningSums& own) {
  clock_.enter("exchange");
  LearningSums all;
  for (const LearningSums& rank : gather_records(communicator_, own, "sums of the step")) {
    all.loss += rank.loss;
    all.kl += rank.kl;
    all.entropy += rank.entropy;
    all.clip_low += rank.clip_low;
    all.clip_high += rank.clip_high;
    all.top1 += rank.top1;
    all.logp_difference += rank.logp_difference;
    all.logp_difference_max = larger(all.logp_difference_max, rank.logp_difference_max);
    all.nonfinite += rank.nonfinite;
  }
  return all;
}

StepResult GrpoStage::result(int64_t step, const LearningSums& sums) {
  const bool first = sampling_step(step) == step;
  StepResult result;
  result.nothing_left = step_weights_.nothing_left();
  result.loss = sums.loss;
  result.finite = sums.nonfinite == 0;
  result.metrics = group_metrics(all_groups_, step_weights_, config_);
  add_means(result, sums, first);
  if (first) {
    result.tokens = tokens_seen(all_groups_);
    const auto tokens = static_cast<double>(step_weights_.tokens);
    watch_alarms(step, result.nothing_left ? std::nullopt : std::optional(sums.entropy / tokens));
    if (config_.log.completions) result.completions = completion_lines(groups_, step, context_, communicator_);
  }
  for (const auto& [name, on] : alarms_.state()) result.metrics.emplace_back("alarms/" + name, on ? 1 : 0);
  return result;
}

/// Adds means over all tokens of the step.
void GrpoStage::add_means(StepResult& result, const LearningSums& sums, bool first) const {
  const auto mean = [&](double sum) {
    return result.nothing_left ? std::nullopt : std::optional(sum / static_cast<double>(step_weights_.tokens));
  };
  const auto add = [&](const char* name, std::optional<double> value) { result.metrics.emplace_back(name, value); };
  result.kl = mean(sums.kl).value_or(0);
  if (config_.grpo.beta != 0) add("kl", mean(sums.kl));
  add("entropy", mean(sums.entropy));
  add("mean_token_accuracy", mean(sums.top1));
  if (config_.grpo.policy_loss == PolicyLoss::kRatio && config_.grpo.epsilon) {
    add("clip_ratio/low_mean", mean(sums.clip_low));
    add("clip_ratio/high_mean", mean(sums.clip_high));
    add("clip_ratio/region_mean", mean(sums.clip_low + sums.clip_high));
  }
  add("num_tokens", static_cast<double>(num_tokens_));
  if (!first) return;
  add("sampling/logp_difference/mean", mean(sums.logp_difference));
  add("sampling/logp_difference/max", sums.logp_difference_max);
}

/// Shows new rollouts to the alarms and logs which of them begin or end.
void GrpoStage::watch_alarms(int64_t step, std::optional<double> entropy) {
  for (const AlarmChange& change : alarms_.observe(rollout_metrics(all_groups_, entropy))) {
    if (!communicator_.is_main()) continue;
    if (change.on) {
      log_warning(concat("[train] step ", step, ": alarm ", change.name, ": ", change.text));
    } else {
      log_info(concat("step ", step, ": alarm ", change.name, " is over: ", change.text));
    }
  }
}

std::vector<std::vector<Group>> GrpoStage::passes(int64_t step) {
  const bool first = sampling_step(step) == step;
  std::vector<std::vector<Group>> passes;
  for (const auto& batch : learner_.micro_batches(groups_, first)) {
    std::vector<Group>& pass = passes.emplace_back();
    for (const Group* group : batch) pass.push_back(*group);
    if (first) continue;
    for (Group& group : pass) group.policy_M.reset();  // these are from the first step with these rollouts
  }
  return passes;
}

/// Generates the rollouts that the next step re-uses again, with the adapter and running recall of their first step.
void GrpoStage::regenerate_rollouts(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) {
  const auto recall_then = trainer.extra.find("running_recall_at_sampling");
  if (recall_then == trainer.extra.end()) {
    fail("train", "the checkpoint after step ", trainer.global_step, " lacks the state of its rollouts, which ",
         "grpo.num_iterations ", config_.grpo.num_iterations, " re-uses in the next step; was that key changed?");
  }
  rollouts_.recall.restore(recall_then->second);
  std::map<std::string, at::Tensor> sampling;
  for (const auto& [name, tensor] : state) {
    if (name.starts_with(kSamplingPrefix)) sampling[name.substr(std::string(kSamplingPrefix).size())] = tensor;
  }
  const auto present = copies(parameters_.named_values());
  const int64_t step = sampling_step(trainer.global_step);
  parameters_.load_values(sampling);
  make_rollouts(step);
  learner_.restore_logprobs(groups_, step);
  parameters_.load_values(present);
}

void GrpoStage::save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const {
  trainer.cursor["num_tokens"] = num_tokens_;
  rollouts_.batches.save(trainer.cursor);
  trainer.extra["running_recall"] = rollouts_.recall.save();
  trainer.extra["alarms"] = alarms_.save();
  trainer.extra.erase("running_recall_at_sampling");  // left from the checkpoint that the run resumed from
  if (trainer.global_step % config_.grpo.num_iterations == 0) return;
  trainer.extra["running_recall_at_sampling"] = recall_at_sampling_;
  state.insert(sampling_adapter_.begin(), sampling_adapter_.end());
}

void GrpoStage::restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) {
  rollouts_.batches.restore(trainer.cursor);
  if (trainer.global_step % config_.grpo.num_iterations != 0) regenerate_rollouts(trainer, state);
  const auto tokens = trainer.cursor.find("num_tokens");
  const auto recall = trainer.extra.find("running_recall");
  if (tokens == trainer.cursor.end() || recall == trainer.extra.end()) {
    fail("train", "the checkpoint lacks the counters of stage grpo; was it written by another stage?");
  }
  // Checkpoints of older versions have no alarms; their history begins empty.
  if (const auto alarms = trainer.extra.find("alarms"); alarms != trainer.extra.end()) alarms_.restore(alarms->second);
  num_tokens_ = tokens->second;
  rollouts_.recall.restore(recall->second);
}

}  // namespace lriad

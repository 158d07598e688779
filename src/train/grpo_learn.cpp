// The learning half of stage grpo: passes over packed groups, loss, gradients, and what is written about them.
#include <ATen/ATen.h>

#include <algorithm>

#include "grpo_stage.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/core/random.h"
#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/load_model.h"
#include "rank_sums.h"

// Shape letters: M completion tokens of the groups of one pass.
namespace lriad {
namespace {

int64_t num_tokens(const std::vector<Completion>& completions) {
  int64_t tokens = 0;
  for (const Completion& completion : completions) tokens += static_cast<int64_t>(completion.ids.size());
  return tokens;
}

}  // namespace

PromptGroup GrpoStage::prompt_group(const Group& group, int64_t step) const {
  PromptGroup result;
  result.ids = group.prompt.sample.prompt_ids;
  result.grids = {group.prompt.sample.patches.grid};
  result.features_MD = group.features_MD;
  for (const Completion& completion : group.completions) {
    result.completions.push_back(completion.ids);
    if (completion.allowed_TV.defined()) result.allowed_TV.push_back(completion.allowed_TV);
  }
  const auto words = CounterRandom(config_.seed, RandomUse::kDropout)
                         .words(static_cast<uint32_t>(step), static_cast<uint32_t>(group.prompt.prompt_index));
  result.dropout_seed = uint64_t{words[0]} << 32 | words[1];
  return result;
}

PackedGroups GrpoStage::pack(const std::vector<Group*>& groups, int64_t step) const {
  std::vector<PromptGroup> parts;
  for (const Group* group : groups) parts.push_back(prompt_group(*group, step));
  const Prefix prefix = config_.train.shared_prefix == Switch::kOff ? Prefix::kOwn : Prefix::kShared;
  return pack_groups(parts, context_.model->config(), prefix, context_.device);
}

/// Without a KL term a group whose advantages are all 0 has no gradient: its pass needs no backward half.
bool GrpoStage::has_gradient(const Group& group) const {
  const bool kl = config_.grpo.beta != 0;
  for (std::size_t i = 0; i < group.weights.size(); ++i) {
    if (group.weights[i] != 0 && (kl || group.advantages[i] != 0)) return true;
  }
  return false;
}

std::vector<std::vector<GrpoStage::Group*>> GrpoStage::micro_batches(int64_t step) {
  const Prefix prefix = config_.train.shared_prefix == Switch::kOff ? Prefix::kOwn : Prefix::kShared;
  const int64_t budget = context_.memory.rows_per_pass;
  const bool logged = sampled_at(step) == step && config_.log.completions && config_.log.token_ids;
  std::vector<std::vector<Group*>> batches;
  for (const bool moving : {true, false}) {
    int64_t rows = budget + 1;
    for (Group& group : groups_) {
      const bool counts = std::ranges::any_of(group.weights, [](double weight) { return weight != 0; });
      if (has_gradient(group) != moving || !(counts || logged)) continue;
      const int64_t own = packed_rows(prompt_group(group, step), prefix);
      if (rows + own > budget) {
        batches.emplace_back();
        rows = 0;
      }
      batches.back().push_back(&group);
      rows += own;
    }
  }
  return batches;
}

void GrpoStage::learn(int64_t step, Sums& sums) {
  for (const auto& batch : micro_batches(step)) {
    const bool uses_reference = config_.grpo.beta != 0 && config_.grpo.kl_anchor != KlReference::kOld;
    if (uses_reference && sampled_at(step) == step) compute_reference(batch);
    learn_from(batch, step, sums);
  }
}

void GrpoStage::compute_reference(const std::vector<Group*>& groups) {
  clock_.enter("reference");
  const at::NoGradGuard no_grad;
  const bool base = config_.grpo.kl_anchor == KlReference::kBase;
  const PackedGroups packed = pack(groups, /*step=*/0);
  std::map<std::string, at::Tensor> present;
  context_.model->eval();
  if (base) {
    context_.model->enable_lora(false);
  } else {
    for (const auto& [name, tensor] : parameters_.named_values()) present[name] = tensor.clone();
    parameters_.load_values(initial_adapter_);
  }
  const at::Tensor logp_M = logprobs(packed).logp_M;
  if (base) {
    context_.model->enable_lora(true);
  } else {
    parameters_.load_values(present);
  }
  int64_t begin = 0;
  for (Group* group : groups) {
    const int64_t tokens = num_tokens(group->completions);
    group->reference_M = logp_M.slice(0, begin, begin + tokens);
    begin += tokens;
  }
}

TokenLogprobs GrpoStage::logprobs(const PackedGroups& packed, const LogprobGradient& logprob_gradient) {
  return token_logprobs(context_.model, packed, config_.rollout.temperature, logprob_gradient,
                        context_.memory.logits_at_once);
}

LossInputs GrpoStage::loss_inputs(const std::vector<Group*>& groups, int64_t step) const {
  std::vector<BatchGroup> batch;
  for (const Group* group : groups) batch.push_back(batch_group(*group, step));
  return lriad::loss_inputs(batch, accumulate_dtype(scalar_type(config_.model.dtype)), context_.device);
}

void GrpoStage::learn_from(const std::vector<Group*>& groups, int64_t step, Sums& sums) {
  clock_.enter("policy");
  LossInputs in = loss_inputs(groups, step);
  LogprobGradient logprob_gradient;
  if (has_gradient(*groups.front())) {
    logprob_gradient = [&](const at::Tensor& logp_C, int64_t begin) {
      return grpo_logprob_gradient(in, logp_C, begin, config_.grpo);
    };
  }
  context_.model->train();
  TokenLogprobs now = logprobs(pack(groups, step), logprob_gradient);
  if (logprob_gradient) {
    clock_.enter("backward");
    now.backward();
    parameters_.collect_gradients();
  }
  context_.model->eval();
  in.logp_M = now.logp_M;
  const LossSums loss = grpo_loss(in, config_.grpo);
  sums.loss += loss.loss.item<double>();
  const at::Tensor logp_M = now.logp_M, counted_M = in.weight_M != 0;
  sums.kl += loss.kl_sum;
  sums.clip_low += loss.clip_low;
  sums.clip_high += loss.clip_high;
  sums.entropy += (now.entropy_M * counted_M).sum().item<double>();
  sums.top1 += (now.top1_M & counted_M).sum().item<double>();
  if (!at::isfinite(logp_M).all().item<bool>()) sums.nonfinite += 1;
  if (sampled_at(step) != step) return;
  std::vector<double> sampled;
  int64_t begin = 0;
  for (Group* group : groups) {
    for (const Completion& completion : group->completions) {
      for (const TokenTrace& trace : completion.trace) sampled.push_back(trace.sampling_logp);
    }
    const int64_t tokens = num_tokens(group->completions);
    group->policy_M = logp_M.slice(0, begin, begin + tokens);
    if (config_.grpo.num_iterations > 1) group->old_M = group->policy_M;
    begin += tokens;
  }
  const at::Tensor gap_M = (at::tensor(sampled, at::kDouble).to(logp_M.options()) - logp_M).abs() * counted_M;
  sums.gap += gap_M.sum().item<double>();
  sums.gap_max = std::max(sums.gap_max, gap_M.max().item<double>());
}

/// Brings back the groups that the step after `step` uses again, by the weights that drew them.
void GrpoStage::regenerate_rollouts(int64_t step) {
  sample(step);
  score();
  resample(step);
  normalise();
  const at::NoGradGuard no_grad;
  // Cut as the step was, so that the numbers are the same to the last bit.
  for (const auto& batch : micro_batches(step)) {
    if (config_.grpo.beta != 0 && config_.grpo.kl_anchor != KlReference::kOld) compute_reference(batch);
    context_.model->train();
    const at::Tensor logp_M = logprobs(pack(batch, step)).logp_M;
    context_.model->eval();
    int64_t begin = 0;
    for (Group* group : batch) {
      const int64_t tokens = num_tokens(group->completions);
      group->old_M = logp_M.slice(0, begin, begin + tokens);
      begin += tokens;
    }
  }
}

GrpoStage::Sums GrpoStage::over_ranks(const Sums& own) {
  clock_.enter("exchange");
  const std::vector<double> numbers = {own.loss, own.kl,        own.entropy, own.clip_low, own.clip_high,
                                       own.gap,  own.nonfinite, own.gap_max, own.top1};
  Sums all;
  for (const std::vector<double>& rank : gather_numbers(communicator_, numbers, "sums of the step")) {
    all.loss += rank[0];
    all.kl += rank[1];
    all.entropy += rank[2];
    all.clip_low += rank[3];
    all.clip_high += rank[4];
    all.gap += rank[5];
    all.nonfinite += rank[6];
    all.gap_max = std::max(all.gap_max, rank[7]);
    all.top1 += rank[8];
  }
  return all;
}

StepResult GrpoStage::figures(int64_t step, const Sums& sums) {
  StepResult result;
  result.nothing_left = step_weights_.nothing_left();
  result.loss = sums.loss;
  result.finite = sums.nonfinite == 0;
  result.tokens = tokens_seen(all_groups_);
  result.figures = group_metrics(all_groups_, step_weights_, config_.grpo);
  const auto mean = [&](double sum) {
    return result.nothing_left ? std::nullopt : std::optional(sum / static_cast<double>(step_weights_.tokens));
  };
  const auto add = [&](const std::string& name, std::optional<double> value) {
    result.figures.emplace_back(name, value);
  };
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
  if (sampled_at(step) == step) {
    watch(step, mean(sums.entropy));
    add("sampling/logp_difference/mean", mean(sums.gap));
    add("sampling/logp_difference/max", sums.gap_max);
    if (config_.log.completions) result.completions = completion_lines(step);
  }
  for (const auto& [name, on] : alarms_.state()) add("alarms/" + name, on ? 1 : 0);
  return result;
}

/// Lets the alarms see a new sampling; the log tells when one begins and ends.
void GrpoStage::watch(int64_t step, std::optional<double> entropy) {
  for (const AlarmChange& change : alarms_.observe(rollout_metrics(all_groups_, entropy))) {
    if (!communicator_.is_main()) continue;
    if (change.on) {
      log_warning(concat("[train] step ", step, ": alarm ", change.name, ": ", change.text));
    } else {
      log_info(concat("step ", step, ": alarm ", change.name, " is over: ", change.text));
    }
  }
}

}  // namespace lriad

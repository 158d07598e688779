#include "grpo_learner.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "lriad/grpo/loss.h"
#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/load_model.h"

// Shape letters: M completion tokens of the groups of one pass.
namespace lriad {
namespace {

/// The log-probabilities with which the tokens of a batch were sampled: float64 [M].
at::Tensor sampling_logprobs(const MicroBatch& batch) {
  std::vector<double> sampled;
  for (const Group* group : batch) {
    for (const GroupCompletion& completion : group->completions) {
      for (const TokenTrace& trace : completion.trace) sampled.push_back(trace.sampling_logp);
    }
  }
  return at::tensor(sampled, at::kDouble);
}

/// Sets `member` of each group to its part of a per-token tensor.
void hand_out(const MicroBatch& batch, const at::Tensor& values_M, at::Tensor Group::*member) {
  int64_t begin = 0;
  for (Group* group : batch) {
    group->*member = values_M.slice(0, begin, begin + group->num_tokens());
    begin += group->num_tokens();
  }
}

/// Runs a function at the end of a scope, however it is left.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> act) : act_(std::move(act)) {}
  ~AtEnd() { act_(); }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;

 private:
  std::function<void()> act_;
};

at::Tensor where_counted(const at::Tensor& counted_M, const at::Tensor& values_M) {
  return at::where(counted_M, values_M, at::zeros({}, values_M.options()));
}

}  // namespace

double larger(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }

std::map<std::string, at::Tensor> copies(const std::map<std::string, at::Tensor>& tensors, const std::string& prefix) {
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, tensor] : tensors) result[prefix + name] = tensor.detach().cpu().clone();
  return result;
}

GrpoLearner::GrpoLearner(RunContext& context, FlatParameters& parameters, PhaseClock& clock)
    : context_(context),
      config_(context.config),
      parameters_(parameters),
      clock_(clock),
      prefix_(context.config.train.shared_prefix == Switch::kOff ? Prefix::kOwn : Prefix::kShared) {
  if (config_.grpo.kl_anchor == KlReference::kInitialAdapter) initial_adapter_ = copies(parameters.named_values());
}

LearningSums GrpoLearner::learn(std::vector<Group>& groups, int64_t step, bool first) {
  LearningSums sums;
  const auto learn = [&](const std::vector<MicroBatch>& passes) {
    sums = {};
    for (const MicroBatch& batch : passes) {
      const PackedGroups packed = pack(batch, step);
      if (uses_reference() && first) compute_reference(batch, packed);
      learn_from(batch, packed, first, sums);
    }
  };
  learn_in_passes({[&] { return micro_batches(groups, first); }, learn, prefix_}, step, context_, parameters_);
  return sums;
}

void GrpoLearner::restore_logprobs(std::vector<Group>& groups, int64_t step) {
  const at::NoGradGuard no_grad;
  for (const MicroBatch& batch : micro_batches(groups, /*first=*/true)) {
    const PackedGroups packed = pack(batch, step);
    if (uses_reference()) compute_reference(batch, packed);
    context_.model->train();
    hand_out(batch, logprobs(packed).logp_M, &Group::old_M);
    context_.model->eval();
  }
}

std::vector<MicroBatch> GrpoLearner::micro_batches(std::vector<Group>& groups, bool first) const {
  const bool all = first && logs_tokens();
  std::vector<MicroBatch> batches;
  for (const bool with_gradient : {true, false}) {
    std::vector<Group*> chosen;
    for (Group& group : groups) {
      const bool counts = std::ranges::any_of(group.completions, [](const auto& one) { return one.weight != 0; });
      if (has_gradient(group, first) == with_gradient && (counts || all)) chosen.push_back(&group);
    }
    std::ranges::move(divide_into_passes(chosen, prefix_, context_.memory.rows_per_pass), std::back_inserter(batches));
  }
  return batches;
}

/// A group whose advantages are all 0 needs no backward pass, unless the KL term has a gradient. The KL to the old
/// policy has none in the first step with new rollouts, since the old policy is the present one there.
bool GrpoLearner::has_gradient(const Group& group, bool first) const {
  const bool kl = config_.grpo.beta != 0 && (uses_reference() || !first);
  return std::ranges::any_of(group.completions,
                             [&](const auto& one) { return one.weight != 0 && (kl || one.advantage != 0); });
}

PackedGroups GrpoLearner::pack(const MicroBatch& batch, int64_t step) const {
  const CounterRandom random(config_.seed, RandomUse::kDropout);
  for (Group* group : batch) {
    const auto words = random.words(static_cast<uint32_t>(step), static_cast<uint32_t>(group->prompt_index));
    group->dropout_seed = uint64_t{words[0]} << 32 | words[1];
  }
  return pack_groups(batch, context_.model->config(), prefix_, context_.device);
}

TokenLogprobs GrpoLearner::logprobs(const PackedGroups& packed, const LogprobGradient& gradient) {
  return token_logprobs(context_.model, packed, config_.rollout.temperature, gradient, context_.memory.logits_at_once);
}

/// Computes log-probabilities under the reference: the base model without adapter, or with the initial adapter.
void GrpoLearner::compute_reference(const MicroBatch& batch, const PackedGroups& packed) {
  clock_.enter("reference");
  const at::NoGradGuard no_grad;
  context_.model->eval();
  at::Tensor logp_M;
  if (config_.grpo.kl_anchor == KlReference::kBase) {
    context_.model->enable_lora(false);
    const AtEnd on([this] { context_.model->enable_lora(true); });
    logp_M = logprobs(packed).logp_M;
  } else {
    std::map<std::string, at::Tensor> present;
    for (const auto& [name, tensor] : parameters_.named_values()) present[name] = tensor.clone();
    parameters_.load_values(initial_adapter_);
    const AtEnd back([&] { parameters_.load_values(present); });
    logp_M = logprobs(packed).logp_M;
  }
  hand_out(batch, logp_M, &Group::reference_M);
}

void GrpoLearner::learn_from(const MicroBatch& batch, const PackedGroups& packed, bool first, LearningSums& sums) {
  clock_.enter("policy");
  LossInputs in = loss_inputs(std::vector<const Group*>(batch.begin(), batch.end()),
                              accumulate_dtype(scalar_type(config_.model.dtype)), context_.device);
  LogprobGradient gradient;
  if (has_gradient(*batch.front(), first)) {
    gradient = [&](const at::Tensor& logp_C, int64_t begin) {
      return grpo_logprob_gradient(in, logp_C, begin, config_.grpo);
    };
  }
  context_.model->train();
  TokenLogprobs now = logprobs(packed, gradient);
  if (gradient) {
    clock_.enter("backward");
    now.backward();
    parameters_.collect_gradients();
  }
  context_.model->eval();
  in.logp_M = now.logp_M;
  add_sums(in, now, first ? sampling_logprobs(batch).to(now.logp_M.options()) : at::Tensor(), sums);
  if (!first) return;
  hand_out(batch, now.logp_M, &Group::policy_M);
  if (config_.grpo.num_iterations > 1) hand_out(batch, now.logp_M, &Group::old_M);
}

/// `sampling_M` holds the log-probabilities with which the tokens were sampled; undefined if the rollouts are re-used.
void GrpoLearner::add_sums(const LossInputs& in, const TokenLogprobs& now, const at::Tensor& sampling_M,
                           LearningSums& sums) const {
  const LossSums loss = grpo_loss(in, config_.grpo);
  const at::Tensor counted_M = in.weight_M != 0;
  const at::Tensor gap_M =
      sampling_M.defined() ? where_counted(counted_M, (sampling_M - now.logp_M).abs()) : at::zeros_like(now.logp_M);
  const std::vector<double> read =
      read_scalars({loss.loss, loss.kl, loss.clip_low, loss.clip_high, where_counted(counted_M, now.entropy_M).sum(),
                    (now.top1_M & counted_M).sum(), gap_M.sum(), at::isfinite(now.logp_M).all(), gap_M.max()});
  sums.loss += read[0];
  sums.kl += read[1];
  sums.clip_low += read[2];
  sums.clip_high += read[3];
  sums.entropy += read[4];
  sums.top1 += read[5];
  sums.logp_difference += read[6];
  sums.nonfinite += 1 - read[7];
  sums.logp_difference_max = larger(sums.logp_difference_max, read[8]);
}

}  // namespace lriad

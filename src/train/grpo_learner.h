#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lriad/grpo/group.h"
#include "lriad/grpo/loss.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/run/phase_clock.h"
#include "lriad/run/run_context.h"
#include "lriad/run/trained_parameters.h"
#include "passes.h"

namespace lriad {

/// Sums over the tokens of a step whose weight is not 0, of one rank or of all ranks.
struct LearningSums {
  double loss = 0, kl = 0, entropy = 0, clip_low = 0, clip_high = 0, top1 = 0;
  double logp_difference = 0;      ///< sum of |log-probability when sampled - log-probability now|
  double logp_difference_max = 0;  ///< largest of these differences; NaN if one is NaN
  double nonfinite = 0;            ///< number of passes with a log-probability that is not finite
};

/// The learning half of stage grpo: forward passes of reference and policy over packed groups, loss and gradient.
class GrpoLearner {
 public:
  GrpoLearner(RunContext& context, FlatParameters& parameters, PhaseClock& clock);

  /// Adds the gradient of all groups to the flat buffer. `first` says that this is the first optimizer step with these
  /// rollouts; it also sets reference_M and policy_M of the groups, and old_M if further steps re-use them. If memory
  /// does not suffice, tries once more as learn_in_passes() does.
  LearningSums learn(std::vector<Group>& groups, int64_t step, bool first);
  /// Sets reference_M and old_M to the same bits as the first step with these rollouts, for resuming between steps that
  /// re-use rollouts.
  void restore_logprobs(std::vector<Group>& groups, int64_t step);
  /// Divides the groups into passes of at most MemoryPlan::rows_per_pass rows. Groups with a gradient come first, then
  /// those that are needed for metrics only or, in the first step, for logged log-probabilities.
  std::vector<MicroBatch> micro_batches(std::vector<Group>& groups, bool first) const;

 private:
  bool uses_reference() const { return config_.grpo.beta != 0 && config_.grpo.kl_anchor != KlReference::kOld; }
  bool has_gradient(const Group& group, bool first) const;
  bool logs_tokens() const { return config_.log.completions && config_.log.token_ids; }
  PackedGroups pack(const MicroBatch& batch, int64_t step) const;
  TokenLogprobs logprobs(const PackedGroups& packed, const LogprobGradient& gradient = {});
  void compute_reference(const MicroBatch& batch, const PackedGroups& packed);
  void learn_from(const MicroBatch& batch, const PackedGroups& packed, bool first, LearningSums& sums);
  void add_sums(const LossInputs& in, const TokenLogprobs& now, const at::Tensor& sampling_M, LearningSums& sums) const;

  RunContext& context_;
  const Config& config_;
  FlatParameters& parameters_;
  PhaseClock& clock_;
  Prefix prefix_;
  std::map<std::string, at::Tensor> initial_adapter_;  ///< with grpo.kl_anchor: initial_adapter only
};

/// The larger of two numbers; NaN if one is NaN.
double larger(double a, double b);

/// Copies of tensors on the CPU, named `prefix` + name.
std::map<std::string, at::Tensor> copies(const std::map<std::string, at::Tensor>& tensors,
                                         const std::string& prefix = "");

}  // namespace lriad

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/core/verdict.h"
#include "lriad/dist/communicator.h"
#include "lriad/grpo/group.h"
#include "lriad/grpo/reward.h"
#include "lriad/health/alarms.h"
#include "lriad/run/metrics_log.h"

namespace lriad {

/// What ranks exchange of each completion: enough to compute advantages, normalisers and metrics of the whole step.
struct CompletionSummary {
  Reward reward;
  Verdict verdict = Verdict::kInvalid;
  int64_t length = 0;  ///< in tokens
  bool truncated = false;
};

/// What ranks exchange of each group.
struct GroupSummary {
  int64_t prompt_index = 0;      ///< as Group::prompt_index
  bool is_defect = false;        ///< the label
  double advantage_factor = 1;   ///< as Group::advantage_factor
  int64_t prompt_length = 0;     ///< in tokens
  int64_t resamples = 0;         ///< as Group::resamples
  int64_t discarded_tokens = 0;  ///< as Group::discarded_tokens
  int64_t distinct = 0;          ///< number of distinct completions
  std::vector<CompletionSummary> completions;

  bool right(const CompletionSummary& completion) const { return is_right(completion.verdict, is_defect); }
  std::vector<double> rewards() const;  ///< total reward of each completion
};
GroupSummary summarise(const Group& group);

/// Gathers the groups of all ranks, in the order of their prompt indices.
std::vector<GroupSummary> gather_groups(Communicator& communicator, const std::vector<GroupSummary>& own);

/// Tokens that the step computed: those of the prompt and the completion for each completion, discarded ones included.
int64_t tokens_seen(const std::vector<GroupSummary>& groups);

/// Advantages and weights of all completions of a step, as [group][completion].
struct StepWeights {
  std::vector<std::vector<double>> advantages;
  std::vector<std::vector<double>> weights;  ///< from completion_weights(); 0 for completions that are left out
  int64_t tokens = 0;                        ///< of completions that are not left out
  bool nothing_left() const { return tokens == 0; }
};

/// Applies group_advantages(), advantage_factor, zero_variance: drop, mask_truncated_completions and
/// completion_weights() to the groups of all ranks.
StepWeights step_weights(const std::vector<GroupSummary>& groups, const GrpoSection& section,
                         int64_t max_completion_length);

/// Metrics of the step for metrics.jsonl, with TRL's names where it has them. By class (normal or defect):
/// - p/<class>: mean of Reward::p where it is defined
/// - advantage_abs/<class>: mean |advantage|; without the absolute value the mean is 0 in each group
/// - advantage_right/<class>: mean advantage of right answers
/// - gradient_share/<class>: the class's share in the sum over completions of |advantage| * token weight * tokens, an
///   estimate of its share in the gradient of the policy loss (without KL)
Metrics group_metrics(const std::vector<GroupSummary>& groups, const StepWeights& weights, const Config& config);

/// Metrics that the alarms depend on; `entropy` is the token mean of the step in nats.
RolloutMetrics rollout_metrics(const std::vector<GroupSummary>& groups, std::optional<double> entropy);

}  // namespace lriad

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

/// What all ranks know of a completion: enough for advantages, normalisers and metrics of the whole step.
struct CompletionSummary {
  Reward reward;
  Verdict verdict = Verdict::kInvalid;
  int64_t length = 0;  ///< tokens
  bool truncated = false;
};

/// What all ranks know of a group.
struct GroupSummary {
  int64_t prompt_index = 0;  ///< of the prompt in the step's batch
  bool is_defect = false;
  double advantage_factor = 1;   ///< reward.focal.where: advantage
  int64_t prompt_length = 0;     ///< tokens
  int64_t resamples = 0;         ///< how often the group was sampled again
  int64_t discarded_tokens = 0;  ///< prompt and completion tokens of what was sampled before
  int64_t distinct = 0;          ///< completions that differ in their tokens
  std::vector<CompletionSummary> completions;

  bool right(const CompletionSummary& completion) const { return is_right(completion.verdict, is_defect); }
  std::vector<double> rewards() const;  ///< total reward of each completion
};
GroupSummary summarise(const Group& group);

/// Groups of all ranks in the order of their prompt indices.
std::vector<GroupSummary> gather_groups(Communicator& communicator, const std::vector<GroupSummary>& own);

/// Tokens that the step cost: prompt and completion of each completion, resampled ones included.
int64_t tokens_seen(const std::vector<GroupSummary>& groups);

/// What the loss of each completion of a step is multiplied with.
struct StepWeights {
  std::vector<std::vector<double>> advantages;  ///< a group, a completion
  std::vector<std::vector<double>> weights;     ///< factor of its token losses; 0: does not count
  int64_t tokens = 0;                           ///< that count
  bool nothing_left() const { return tokens == 0; }
};
StepWeights step_weights(const std::vector<GroupSummary>& groups, const GrpoSection& section,
                         int64_t max_completion_length);

/// Rewards, recalls, lengths and shares of the step under TRL's names and ours. By class:
/// p/<class>: mean p of completions.jsonl where it is defined
/// advantage_abs/<class>: mean |advantage|; the mean itself is 0 in every group
/// advantage_right/<class>: mean advantage of the right answers
/// gradient_share/<class>: share of the sum over completions of |advantage| * weight of a token * tokens, what the
///   policy loss can pull with; KL left out
Metrics group_metrics(const std::vector<GroupSummary>& groups, const StepWeights& weights, const Config& config);

/// What the alarms look at; entropy: token mean of the step, nats.
RolloutMetrics rollout_metrics(const std::vector<GroupSummary>& groups, std::optional<double> entropy);

}  // namespace lriad

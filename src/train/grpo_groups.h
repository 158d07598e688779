#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/dist/communicator.h"
#include "lriad/eval/metrics.h"
#include "lriad/grpo/reward.h"
#include "lriad/health/alarms.h"

namespace lriad {

/// What all ranks know of a group: enough for advantages, normalisers and metrics of the whole step.
struct GroupSummary {
  int64_t prompt_index = 0;  ///< of the prompt in the step's batch
  bool defect = false;
  double advantage_factor = 1;  ///< reward.focal.where: advantage
  int64_t prompt_length = 0;
  int64_t resamples = 0;
  int64_t discarded_tokens = 0;               ///< of completions that were sampled again
  std::vector<double> format, answer, total;  ///< rewards, one a completion
  std::vector<Answer> verdicts;
  std::vector<int64_t> lengths;
  std::vector<bool> truncated;
  std::vector<std::optional<double>> p;  ///< that acted in the reward
  int64_t distinct = 0;                  ///< completions that differ in their tokens

  std::size_t size() const { return total.size(); }
  bool right(std::size_t completion) const {
    return verdicts[completion] == (defect ? Answer::kDefect : Answer::kNormal);
  }
};

/// Groups of all ranks in the order of their prompt_indices.
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

using Metrics = std::vector<std::pair<std::string, std::optional<double>>>;

/// Rewards, recalls, lengths and shares of the step under TRL's names and ours (interfaces, section 4). By class:
/// p/<class>: mean p of completions.jsonl where it is defined
/// advantage_abs/<class>: mean |advantage|; the mean itself is 0 in every group
/// advantage_right/<class>: mean advantage of the right answers
/// gradient_share/<class>: share of the sum over completions of |advantage| * weight of a token * tokens, what the
///   policy loss can pull with; KL left out
Metrics group_metrics(const std::vector<GroupSummary>& groups, const StepWeights& weights, const GrpoSection& section);

/// What the alarms look at; entropy: token mean of the step, nats.
RolloutMetrics rollout_metrics(const std::vector<GroupSummary>& groups, std::optional<double> entropy);

}  // namespace lriad

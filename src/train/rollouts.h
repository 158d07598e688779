#pragma once

#include <cstdint>
#include <vector>

#include "batches.h"
#include "lriad/dist/communicator.h"
#include "lriad/grpo/group.h"
#include "lriad/grpo/reward.h"
#include "lriad/run/phase_clock.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// Makes the rollouts of stage grpo: completions of this rank's prompts by the present policy, with their rewards.
class Rollouts {
 public:
  Rollouts(RunContext& context, Communicator& communicator, PhaseClock& clock);

  /// G completions of each of this rank's prompts of batch `batch` (0-based over the whole run). Random numbers are
  /// keyed by `step`.
  std::vector<Group> sample(int64_t batch, int64_t step);
  /// Sets text, verdict and reward of all completions. Source: paper, eq. 3 to 5.
  void score(std::vector<Group>& groups);
  /// Samples and scores those groups again that grpo.zero_variance selects, at most grpo.max_resamples times.
  void resample(std::vector<Group>& groups, int64_t step);

  Batches batches;       ///< of prompts
  RunningRecall recall;  ///< over the completions of all ranks so far; used with f_mode running_recall

 private:
  void generate(const std::vector<Group*>& groups, int64_t step, int64_t attempt);
  void score(Group& group);
  bool needs_resampling(const Group& group) const;

  RunContext& context_;
  const Config& config_;
  Communicator& communicator_;
  PhaseClock& clock_;
  ClassCounts class_counts_;
};

}  // namespace lriad

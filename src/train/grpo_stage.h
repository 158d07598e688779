#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "group_metrics.h"
#include "grpo_learner.h"
#include "lriad/dist/communicator.h"
#include "lriad/health/alarms.h"
#include "rollouts.h"
#include "training_stage.h"

namespace lriad {

/// Stage grpo: sample, score, normalise, learn. The same rollouts are used in grpo.num_iterations optimizer steps.
class GrpoStage : public TrainingStage {
 public:
  GrpoStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock);
  StepResult gradients(int64_t step) override;
  const BatchOrder& order() const override { return rollouts_.batches.order(); }
  int64_t steps_per_batch() const override { return config_.grpo.num_iterations; }
  std::vector<std::vector<Group>> passes(int64_t step) override;
  void save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const override;
  void restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) override;

 private:
  int64_t sampling_step(int64_t step) const;
  void make_rollouts(int64_t step);
  void normalise();
  void regenerate_rollouts(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state);
  LearningSums over_ranks(const LearningSums& own);
  StepResult result(int64_t step, const LearningSums& sums);
  void add_means(StepResult& result, const LearningSums& sums, bool first) const;
  void watch_alarms(int64_t step, std::optional<double> entropy);

  RunContext& context_;
  const Config& config_;
  FlatParameters& parameters_;
  Communicator& communicator_;
  PhaseClock& clock_;
  Rollouts rollouts_;
  GrpoLearner learner_;
  Alarms alarms_;
  std::vector<Group> groups_;             ///< this rank's
  std::vector<GroupSummary> all_groups_;  ///< of all ranks
  StepWeights step_weights_;
  std::map<std::string, at::Tensor> sampling_adapter_;  ///< adapter that generated the rollouts, if they are re-used
  std::string recall_at_sampling_;                      ///< running recall before the rollouts were scored
  int64_t num_tokens_ = 0;                              ///< prompt and completion tokens of the run so far, all ranks
};

}  // namespace lriad

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "batches.h"
#include "context.h"
#include "grpo_groups.h"
#include "lriad/dist/communicator.h"
#include "lriad/generation/generate.h"
#include "lriad/grpo/loss.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/health/alarms.h"
#include "lriad/run/metrics_log.h"
#include "lriad/train/optimizer.h"
#include "phase_clock.h"
#include "training_stage.h"

namespace lriad {

/// Stage grpo: sample, score, normalise, learn. One sampling serves grpo.num_iterations optimizer steps.
class GrpoStage : public TrainingStage {
 public:
  GrpoStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock);
  StepResult gradients(int64_t step) override;
  int64_t steps_per_epoch() const override;
  std::vector<BatchGroup> batch(int64_t step) override;
  void save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const override;
  void restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) override;

 private:
  /// A prompt of this rank with its completions and what was worked out for them.
  struct Group {
    BatchPrompt prompt;
    at::Tensor features_MD;
    std::vector<Completion> completions;
    std::vector<std::string> texts;
    std::vector<Reward> rewards;
    GroupSummary summary;
    at::Tensor old_M, reference_M, policy_M;  ///< log-probabilities of all tokens of the group; undefined: not computed
    std::vector<double> advantages, weights;
  };
  /// Sums over the tokens that count.
  struct Sums {
    double loss = 0, kl = 0, entropy = 0, clip_low = 0, clip_high = 0, gap = 0, gap_max = 0, nonfinite = 0, top1 = 0;
  };

  int64_t sampled_at(int64_t step) const;
  void sample(int64_t step);
  void complete(const std::vector<Group*>& groups, int64_t step, int64_t attempt);
  void score();
  void score_group(Group& group);
  /// Whether grpo.zero_variance asks for another sampling of the group.
  bool needs_resampling(const GroupSummary& summary) const;
  void resample(int64_t step);
  void normalise();
  void learn(int64_t step, Sums& sums);
  void compute_reference(const std::vector<Group*>& groups);
  void learn_from(const std::vector<Group*>& groups, int64_t step, Sums& sums);
  void regenerate_rollouts(int64_t step);
  PackedGroups pack(const std::vector<Group*>& groups, int64_t step) const;
  PromptGroup prompt_group(const Group& group, int64_t step) const;
  TokenLogprobs logprobs(const PackedGroups& packed, const LogprobGradient& logprob_gradient = {});
  BatchGroup batch_group(const Group& group, int64_t step) const;
  LossInputs loss_inputs(const std::vector<Group*>& groups, int64_t step) const;
  bool has_gradient(const Group& group) const;
  std::vector<std::vector<Group*>> micro_batches(int64_t step);
  Sums over_ranks(const Sums& own);
  StepResult figures(int64_t step, const Sums& sums);
  void watch(int64_t step, std::optional<double> entropy);
  std::vector<std::string> completion_lines(int64_t step);
  CompletionRecord record(const Group& group, std::size_t completion, int64_t step, int64_t offset) const;

  RunContext& context_;
  const Config& config_;
  FlatParameters& parameters_;
  Communicator& communicator_;
  PhaseClock& clock_;
  Batches batches_;
  ClassCounts counts_;
  RunningRecall recall_;
  std::map<std::string, at::Tensor> initial_adapter_;  ///< grpo.kl_anchor: initial_adapter of a given adapter
  std::map<std::string, at::Tensor>
      sampling_adapter_;            ///< the weights that drew the present groups, if they are used again
  std::string recall_at_sampling_;  ///< running recall before the present groups were scored
  std::vector<Group> groups_;
  std::vector<GroupSummary> all_groups_;
  StepWeights step_weights_;
  Alarms alarms_;
  int64_t num_tokens_ = 0;  ///< prompt and completion tokens seen so far by all ranks
};

}  // namespace lriad

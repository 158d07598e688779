#pragma once

#include "batches.h"
#include "lriad/dist/communicator.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/run/phase_clock.h"
#include "lriad/run/run_context.h"
#include "lriad/train/optimizer.h"
#include "passes.h"
#include "training_stage.h"

namespace lriad {

/// Stage sft (cold start): the loss is the mean negative log-likelihood of the step's target tokens (target text and
/// end token) given image and prompt. Trains LoRA or all weights, the vision tower included.
class SftStage : public TrainingStage {
 public:
  SftStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock);
  StepResult gradients(int64_t step) override;
  const BatchOrder& order() const override { return batches_.order(); }
  std::vector<std::vector<Group>> passes(int64_t step) override;
  void save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const override;
  void restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) override;

 private:
  struct Sums {
    double nll = 0, entropy = 0, tokens = 0, prompt_tokens = 0, nonfinite = 0, top1 = 0;
  };
  Group target_group(BatchPrompt& prompt, int64_t step) const;
  void take_groups(int64_t step);
  std::vector<MicroBatch> micro_batches();
  Sums learn(const std::vector<MicroBatch>& passes);
  void learn_from(const MicroBatch& pass, Sums& sums);
  Sums over_ranks(const Sums& own);

  RunContext& context_;
  const Config& config_;
  FlatParameters& parameters_;
  Communicator& communicator_;
  PhaseClock& clock_;
  Batches batches_;
  std::vector<Group> groups_;  ///< of the present step; the only completion of each is its target
  int64_t num_tokens_ = 0;     ///< prompt and target tokens of the run so far, all ranks
};

}  // namespace lriad

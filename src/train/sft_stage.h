#pragma once

#include "batches.h"
#include "context.h"
#include "lriad/dist/communicator.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/train/optimizer.h"
#include "phase_clock.h"
#include "training_stage.h"

namespace lriad {

/// Stage sft (cold start): mean negative log-likelihood of all target tokens of the step, target text and end token,
/// given image and prompt; LoRA or all weights, vision tower included.
class SftStage : public TrainingStage {
 public:
  SftStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock);
  StepResult gradients(int64_t step) override;
  int64_t steps_per_epoch() const override { return batches_.per_epoch(); }
  std::vector<BatchGroup> batch(int64_t step) override;
  void save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const override;
  void restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) override;

 private:
  struct Sums {
    double nll = 0, entropy = 0, tokens = 0, prompt_tokens = 0, nonfinite = 0, top1 = 0;
  };
  PromptGroup target_group(const BatchPrompt& prompt, int64_t step) const;
  void learn_from(std::vector<BatchPrompt>& prompts, std::size_t begin, std::size_t end, double tokens, Sums& sums);
  Sums over_ranks(const Sums& own);

  RunContext& context_;
  const Config& config_;
  FlatParameters& parameters_;
  Communicator& communicator_;
  PhaseClock& clock_;
  Batches batches_;
  std::vector<PromptGroup> groups_;  ///< of the present step's prompts
  std::vector<BatchGroup> notes_;    ///< of the same: what batch() says besides
  int64_t num_tokens_ = 0;
};

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/grpo/group.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/metrics_log.h"

namespace lriad {

/// What a stage tells of one step, over all ranks and alike on each.
struct StepResult {
  Metrics metrics;  ///< for metrics.jsonl
  double loss = 0;
  double kl = 0;                         ///< token mean, nats
  bool finite = true;                    ///< false: a log-probability was not finite
  bool nothing_left = false;             ///< no completion counts: no update
  int64_t tokens = 0;                    ///< prompt and completion tokens of the step on all ranks
  std::vector<std::string> completions;  ///< lines for completions.jsonl (main rank)
};

/// One way of training: fills the gradients of an optimizer step. Steps count from 1 and come in order.
class TrainingStage {
 public:
  virtual ~TrainingStage() = default;
  /// Adds this rank's part of the step's gradient to the flat buffer; collective.
  virtual StepResult gradients(int64_t step) = 0;
  virtual int64_t steps_per_epoch() const = 0;
  /// This rank's prompts and completions of the step that gradients() has just done, as the loss saw them: the groups
  /// that went through the model together, pass by pass.
  virtual std::vector<std::vector<Group>> passes(int64_t step) = 0;
  /// What resuming after the last step needs besides weights and optimizer.
  virtual void save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const = 0;
  virtual void restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) = 0;
};

}  // namespace lriad

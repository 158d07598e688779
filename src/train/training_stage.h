#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "batch_order.h"
#include "lriad/grpo/group.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/metrics_log.h"

namespace lriad {

/// Results of one step of a stage, over all ranks and equal on each.
struct StepResult {
  Metrics metrics;  ///< for metrics.jsonl
  double loss = 0;
  double kl = 0;                  ///< token mean in nats
  bool finite = true;             ///< whether all log-probabilities were finite
  bool nothing_left = false;      ///< all completions were left out, so there is no update
  std::optional<int64_t> tokens;  ///< new prompt and completion tokens on all ranks; none if rollouts are re-used
  std::vector<std::string> completions;  ///< lines for completions.jsonl
};

/// One way of training: computes the gradient of each optimizer step. Steps count from 1 and come in order.
class TrainingStage {
 public:
  virtual ~TrainingStage() = default;
  /// Adds this rank's part of the step's gradient to the flat buffer. Collective: all ranks must call it.
  virtual StepResult gradients(int64_t step) = 0;
  virtual const BatchOrder& order() const = 0;
  virtual int64_t steps_per_batch() const { return 1; }
  int64_t steps_per_epoch() const { return order().per_epoch() * steps_per_batch(); }
  /// This rank's groups of the step that gradients() has just done, pass by pass, as they entered the loss.
  virtual std::vector<std::vector<Group>> passes(int64_t step) = 0;
  /// Saves and restores what resuming needs besides weights and optimizer state.
  virtual void save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const = 0;
  virtual void restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) = 0;
};

}  // namespace lriad

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// Metrics of one optimizer step over all ranks, before the optimizer moves.
struct StepHealth {
  double loss = 0;
  double grad_norm = 0;  ///< before clipping
  double kl = 0;         ///< token mean, nats
  bool finite_logprobs = true;
};

/// Decides from global metrics, so alike on every rank, whether a step may update the weights. A step trips when loss,
/// gradient norm, KL or log-probabilities are not finite, when max_kl or max_grad_norm is exceeded, or when KL or
/// gradient norm lie more than `zscore` deviations above the mean of their last 100 healthy non-zero values (once there
/// are 20; the deviation counts as at least a quarter of the mean, so that a calm stretch does not make every ripple an
/// outlier).
class HealthGuard {
 public:
  explicit HealthGuard(const GuardSection& section);
  /// Why the step must not update the weights; null: healthy, and its metrics join the windows.
  std::optional<std::string> check(const StepHealth& health);
  /// True when training must end (exit 3): a step tripped and on_trip is stop, or `stop_after` of the last 100 steps
  /// tripped.
  bool must_stop() const;
  int64_t num_trips() const { return num_trips_; }
  std::string save() const;               ///< compact text, exact
  void restore(const std::string& text);  ///< throws Error if malformed

 private:
  std::optional<std::string> reason(const StepHealth& health) const;
  GuardSection section_;
  std::deque<double> kl_, grad_norm_;
  std::deque<bool> tripped_;
  int64_t num_trips_ = 0;
};

}  // namespace lriad

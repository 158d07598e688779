#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// Metrics of one optimizer step over all ranks, before the update.
struct StepHealth {
  double loss = 0;
  double grad_norm = 0;         ///< before clipping
  double kl = 0;                ///< token mean in nats
  bool finite_logprobs = true;  ///< whether all log-probabilities are finite
};

/// Decides whether a step may update the weights, from metrics over all ranks and so equally on each. It refuses a step
/// ("trips") if loss, gradient norm, KL or a log-probability is not finite, if max_kl or max_grad_norm is exceeded, or
/// if KL or gradient norm is an outlier: more than `zscore` standard deviations above the mean of its last 100 accepted
/// non-zero values, once there are 20. The deviation is taken as at least a quarter of the mean, so that small changes
/// after a steady phase are no outliers.
class HealthGuard {
 public:
  explicit HealthGuard(const GuardSection& section);
  /// The reason why the step must not update the weights, or null. Metrics of accepted steps are remembered.
  std::optional<std::string> check(const StepHealth& health);
  /// True if training must end (exit code 3): a step was refused and on_trip is stop, or `stop_after` of the last 100
  /// steps were refused.
  bool must_stop() const;
  int64_t num_trips() const { return num_trips_; }  ///< refused steps so far
  std::string save() const;                         ///< text for restore(), without loss of precision
  void restore(const std::string& text);            ///< throws Error if malformed

 private:
  std::optional<std::string> reason(const StepHealth& health) const;
  GuardSection section_;
  std::deque<double> kl_, grad_norm_;
  std::deque<bool> tripped_;
  int64_t num_trips_ = 0;
};

}  // namespace lriad

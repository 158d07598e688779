#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <functional>
#include <string>

#include "lriad/run/progress.h"

namespace lriad {

/// Measures the seconds of each phase of a step and calls a listener at the start of each. On a GPU a phase ends when
/// the device has finished its work.
class PhaseClock {
 public:
  explicit PhaseClock(const at::Device& device) : device_(device) {}
  void tell(std::function<void(const std::string& phase)> listener) { listener_ = std::move(listener); }
  /// Ends the running phase and begins this one.
  void enter(const std::string& phase);
  /// Ends the running phase; returns all phases in the order in which they first came, and starts afresh.
  NamedMetrics finish();

 private:
  using Clock = std::chrono::steady_clock;
  void stop();
  at::Device device_;
  std::function<void(const std::string&)> listener_;
  NamedMetrics seconds_;
  std::string running_;
  Clock::time_point start_;
};

/// Highest memory use so far in GB (1e9 bytes): of torch's allocator on a GPU, of the whole process on the CPU.
double peak_memory_gb(const at::Device& device);

}  // namespace lriad

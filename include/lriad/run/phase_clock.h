#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <functional>
#include <string>

#include "lriad/run/progress.h"

namespace lriad {

/// Seconds spent in each phase of a step; tells a listener of each new phase. On a GPU a phase ends when its work has.
class PhaseClock {
 public:
  explicit PhaseClock(const at::Device& device) : device_(device) {}
  void tell(std::function<void(const std::string& phase)> listener) { listener_ = std::move(listener); }
  void enter(const std::string& phase);
  /// Ends the running phase; the phases so far in the order they first came, then forgets them.
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

/// Highest memory use so far in GB (1e9 bytes): of the GPU's allocator, on the CPU of the process.
double peak_memory_gb(const at::Device& device);

}  // namespace lriad

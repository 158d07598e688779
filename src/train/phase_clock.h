#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <string>

#include "lriad/train/progress.h"

namespace lriad {

/// Seconds spent in each phase of a step; says each new phase to the progress line. On a GPU a phase ends when its work
/// has.
class PhaseClock {
 public:
  explicit PhaseClock(const at::Device& device) : device_(device) {}
  void show_on(Progress& progress) { progress_ = &progress; }  ///< which must outlive the clock's use
  void enter(const std::string& phase);
  /// Ends the running phase; the phases so far in the order they first came, then forgets them.
  NamedFigures finish();

 private:
  using Clock = std::chrono::steady_clock;
  void stop();
  at::Device device_;
  Progress* progress_ = nullptr;
  NamedFigures seconds_;
  std::string running_;
  Clock::time_point start_;
};

/// Highest memory use so far in GB (1e9 bytes): of the GPU's allocator, on the CPU of the process.
double peak_memory_gb(const at::Device& device);

}  // namespace lriad

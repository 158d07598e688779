#include "lriad/run/phase_clock.h"

#include <ATen/DeviceAccelerator.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace lriad {

void PhaseClock::enter(const std::string& phase) {
  stop();
  running_ = phase;
  start_ = Clock::now();
  if (listener_) listener_(phase);
}

void PhaseClock::stop() {
  if (running_.empty()) return;
  if (device_.is_cuda()) at::accelerator::synchronizeDevice(device_.index());
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const auto found =
      std::find_if(seconds_.begin(), seconds_.end(), [&](const auto& one) { return one.first == running_; });
  if (found == seconds_.end()) {
    seconds_.emplace_back(running_, seconds);
  } else {
    found->second += seconds;
  }
  running_.clear();
}

NamedMetrics PhaseClock::finish() {
  stop();
  return std::exchange(seconds_, {});
}

double peak_memory_gb(const at::Device& device) {
  if (device.is_cuda()) {
    return static_cast<double>(at::accelerator::getDeviceStats(device.index()).allocated_bytes[0].peak) / 1e9;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e9;
}

}  // namespace lriad

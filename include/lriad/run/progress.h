#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lriad {

using NamedMetrics = std::vector<std::pair<std::string, double>>;

/// Shows how far training is: on a terminal one line redrawn in place (bar, phase, seconds per step, time left),
/// elsewhere a plain log line per finished step. Only the main rank has one that is enabled.
class Progress {
 public:
  Progress(int64_t done_steps, int64_t total_steps, bool enabled);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// A phase of the step begins: rollout, policy, ...
  void phase(const std::string& name);
  /// A step is done. `metrics`: loss, reward, ... to show; `phase_seconds`: time of each phase. `log_line`: also write
  /// the plain line.
  void step_done(int64_t step, const NamedMetrics& metrics, const NamedMetrics& phase_seconds, bool log_line = true);

 private:
  void draw(const std::string& phase_name) const;
  double seconds_per_step() const;
  int64_t first_step_, done_steps_, total_steps_;
  bool enabled_;
  std::chrono::steady_clock::time_point start_;
};

/// "12 s", "4 min 05 s", "3 h 07 min", "2 d 04 h".
std::string duration_text(double seconds);

}  // namespace lriad

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lriad {

using NamedMetrics = std::vector<std::pair<std::string, double>>;

/// Shows the progress of training: on a terminal one line that is updated in place (bar, phase, seconds per step, time
/// left), and a log line per finished step. It is enabled on the main rank only.
class Progress {
 public:
  /// `done_steps` were done before, by the run that is resumed.
  Progress(int64_t done_steps, int64_t total_steps, bool enabled);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// To be called when a phase of the step begins ("rollout").
  void phase(const std::string& name);
  /// To be called after a step, with the metrics to show and the seconds of each phase. `log_line`: write a log line.
  void step_done(int64_t step, const NamedMetrics& metrics, const NamedMetrics& phase_seconds, bool log_line = true);

 private:
  void draw(const std::string& phase_name) const;
  double seconds_per_step() const;
  int64_t first_step_, done_steps_, total_steps_;
  bool enabled_;
  std::chrono::steady_clock::time_point start_;
};

/// A duration as "12 s", "4 min 05 s", "3 h 07 min" or "2 d 04 h"; "unknown" if it is negative or not finite.
std::string duration_text(double seconds);

}  // namespace lriad

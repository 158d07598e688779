#include "lriad/run/progress.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {
namespace {

constexpr int64_t kBarCells = 24;

std::string short_number(double value) {
  std::ostringstream out;
  out << std::setprecision(4) << value;
  return out.str();
}

std::string two_digits(int64_t value) { return concat(value < 10 ? "0" : "", value); }

std::string seconds_text(double seconds) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(seconds < 9.95 ? 2 : 1) << seconds << " s";
  return out.str();
}

std::string join(const NamedMetrics& metrics, std::string (*text)(double)) {
  std::string line;
  for (const auto& [name, value] : metrics) line += concat(line.empty() ? "" : ", ", name, ' ', text(value));
  return line;
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e10) return "unknown";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return concat(whole, " s");
  if (whole < 3600) return concat(whole / 60, " min ", two_digits(whole % 60), " s");
  if (whole < 86400) return concat(whole / 3600, " h ", two_digits(whole / 60 % 60), " min");
  return concat(whole / 86400, " d ", two_digits(whole / 3600 % 24), " h");
}

Progress::Progress(int64_t done_steps, int64_t total_steps, bool enabled)
    : first_step_(done_steps),
      done_steps_(done_steps),
      total_steps_(total_steps),
      enabled_(enabled),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (enabled_) set_status_line("");
}

double Progress::seconds_per_step() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
  const int64_t steps = done_steps_ - first_step_;
  return steps > 0 ? passed.count() / static_cast<double>(steps) : std::nan("");
}

void Progress::draw(const std::string& phase_name) const {
  const int64_t total = std::max<int64_t>(1, total_steps_);
  const int64_t filled = std::clamp<int64_t>(kBarCells * done_steps_ / total, 0, kBarCells);
  std::string bar;
  for (int64_t cell = 0; cell < kBarCells; ++cell) bar += cell < filled ? "█" : "░";
  std::string line = concat(bar, ' ', done_steps_, '/', total_steps_, ' ', 100 * done_steps_ / total, '%');
  if (!phase_name.empty()) line += " · " + phase_name;
  if (done_steps_ > first_step_) {
    const double pace = seconds_per_step();
    line += concat(" · ", seconds_text(pace), "/step · ",
                   duration_text(pace * static_cast<double>(total_steps_ - done_steps_)), " left");
  }
  set_status_line(line);
}

void Progress::phase(const std::string& name) {
  if (enabled_) draw(name);
}

void Progress::step_done(int64_t step, const NamedMetrics& metrics, const NamedMetrics& phase_seconds, bool log_line) {
  done_steps_ = step;
  if (!enabled_) return;
  if (log_line) {
    const double left = seconds_per_step() * static_cast<double>(total_steps_ - done_steps_);
    log_info(concat("step ", step, '/', total_steps_, ": ", join(metrics, short_number),
                    phase_seconds.empty() ? "" : "; " + join(phase_seconds, seconds_text), "; ", duration_text(left),
                    " left"));
  }
  draw("");
}

}  // namespace lriad

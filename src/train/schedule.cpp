#include "lriad/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lriad {

int64_t num_warmup_steps(double warmup_ratio, int64_t total_steps) {
  return static_cast<int64_t>(std::ceil(static_cast<double>(total_steps) * warmup_ratio));
}

double schedule_factor(Schedule schedule, int64_t step, int64_t total_steps, double warmup_ratio) {
  if (schedule == Schedule::kConstant) return 1.0;
  const int64_t warmup = num_warmup_steps(warmup_ratio, total_steps);
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup));
  const double falling = static_cast<double>(std::max<int64_t>(1, total_steps - warmup));
  if (schedule == Schedule::kLinear) return std::max(0.0, static_cast<double>(total_steps - step) / falling);
  const double progress = static_cast<double>(step - warmup) / falling;
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * 0.5 * 2.0 * progress)));
}

}  // namespace lriad

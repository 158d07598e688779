#pragma once

#include <cstdint>

#include "lriad/config/config.h"

namespace lriad {

/// ceil(warmup_ratio * total_steps), as TrainingArguments.get_warmup_steps of transformers.
int64_t num_warmup_steps(double warmup_ratio, int64_t total_steps);

/// Factor of the learning rate in update `step` (0-based) of `total_steps`. Linear and cosine rise from 0 during the
/// warm-up and would reach 0 after the last step; constant has no warm-up. Source:
/// transformers.optimization.get_scheduler.
double schedule_factor(Schedule schedule, int64_t step, int64_t total_steps, double warmup_ratio);

}  // namespace lriad

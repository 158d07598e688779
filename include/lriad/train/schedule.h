#pragma once

#include <cstdint>

#include "lriad/config/config.h"

namespace lriad {

/// ceil(ratio * total): the warm-up steps of transformers' TrainingArguments.
int64_t num_warmup_steps(double warmup_ratio, int64_t total_steps);

/// Factor on the base rate in update `step` (0-based) of `total_steps`. Linear and cosine rise from 0 over the warm-up
/// and fall to 0 after the last step; constant has no warm-up. Source: transformers.optimization.get_scheduler.
double schedule_factor(Schedule schedule, int64_t step, int64_t total_steps, double warmup_ratio);

}  // namespace lriad

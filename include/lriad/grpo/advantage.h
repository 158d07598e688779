#pragma once

#include <cstdint>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// Standard deviation of one group; 0 for a single value. Population is the paper's eq. 7, unbiased TRL's.
double standard_deviation(const std::vector<double>& values, StdKind kind);

/// True when the rewards of a group differ by more than rounding (population std > 1e-8).
bool rewards_vary(const std::vector<double>& rewards);

/// (r - group mean) / (std + eps) per group; std of the group, of the whole step, or no division (scale_rewards).
/// Equal rewards give 0. Groups may differ in size. Source: paper eq. 6-8; TRL GRPOTrainer.
std::vector<std::vector<double>> group_advantages(const std::vector<std::vector<double>>& rewards,
                                                  const GrpoSection& section);

}  // namespace lriad

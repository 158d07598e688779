#pragma once

#include <cstdint>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// Standard deviation of a group's rewards; 0 for fewer than two. `kind` divides by n (paper, eq. 7) or n - 1 (TRL).
double standard_deviation(const std::vector<double>& values, StdKind kind);

/// True if the rewards of a group differ by more than rounding (population standard deviation > 1e-8).
bool rewards_vary(const std::vector<double>& rewards);

/// (r - group mean) / (std + advantage_eps) for each reward r; scale_rewards says whether std is that of the group or
/// of all `rewards`, or whether nothing is divided. Groups may differ in size. Source: paper, eq. 6-8; TRL's
/// GRPOTrainer.
std::vector<std::vector<double>> group_advantages(const std::vector<std::vector<double>>& rewards,
                                                  const GrpoSection& section);

}  // namespace lriad

#include "lriad/grpo/advantage.h"

#include <cmath>
#include <numeric>

namespace lriad {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

double standard_deviation(const std::vector<double>& values, StdKind kind) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const std::size_t freedom = kind == StdKind::kUnbiased ? values.size() - 1 : values.size();
  return std::sqrt(squares / static_cast<double>(freedom));
}

bool rewards_vary(const std::vector<double>& rewards) {
  return standard_deviation(rewards, StdKind::kPopulation) > 1e-8;
}

std::vector<std::vector<double>> group_advantages(const std::vector<std::vector<double>>& rewards,
                                                  const GrpoSection& section) {
  std::vector<double> all;
  for (const auto& group : rewards) all.insert(all.end(), group.begin(), group.end());
  const double batch_std = standard_deviation(all, section.std);
  std::vector<std::vector<double>> result;
  for (const auto& group : rewards) {
    double divisor = 1;
    if (section.scale_rewards == ScaleRewards::kGroup) {
      divisor = standard_deviation(group, section.std) + section.advantage_eps;
    } else if (section.scale_rewards == ScaleRewards::kBatch) {
      divisor = batch_std + section.advantage_eps;
    }
    const double mean = group.empty() ? 0 : mean_of(group);
    std::vector<double>& advantages = result.emplace_back();
    for (const double reward : group) advantages.push_back((reward - mean) / divisor);
  }
  return result;
}

}  // namespace lriad

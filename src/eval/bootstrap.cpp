#include "bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace lriad {
namespace {

constexpr uint64_t kSeed = 42;

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - std::floor(place));
}

}  // namespace

Bootstrap::Bootstrap(const std::vector<const Prediction*>& rows) : random_(kSeed, RandomUse::kBootstrap) {
  std::map<std::pair<std::string, Verdict>, std::vector<size_t>> strata;
  for (size_t i = 0; i < rows.size(); ++i) strata[{rows[i]->object, *rows[i]->label}].push_back(i);
  for (auto& [key, members] : strata) strata_.push_back(std::move(members));
}

ClassMetrics::Interval percentile_interval(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  return std::array<double, 2>{quantile(values, 0.025), quantile(values, 0.975)};
}

}  // namespace lriad

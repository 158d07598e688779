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

Bootstrap::Bootstrap(const Rows& rows) : random_(kSeed, RandomUse::kBootstrap) {
  std::map<std::pair<std::string, Verdict>, std::vector<size_t>> strata;
  for (size_t i = 0; i < rows.size(); ++i) strata[{rows[i]->object, *rows[i]->label}].push_back(i);
  for (auto& [key, members] : strata) strata_.push_back(std::move(members));
}

void Resample::clear() {
  metrics_ = ClassMetrics();
  std::ranges::fill(steps_, RankStep());
}

void Resample::add(size_t row) {
  const Prediction& prediction = *rows_[row];
  count_answer(metrics_, prediction);
  if (const std::ptrdiff_t step = ranking_.step_of[row]; step >= 0)
    steps_[static_cast<size_t>(step)].count(prediction.label == Verdict::kDefect);
}

const ClassMetrics& Resample::finish(InvalidPolicy policy) {
  set_fractions(metrics_, policy);
  metrics_.auroc = auroc_of(steps_);
  return metrics_;
}

ClassMetrics::Interval percentile_interval(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  return std::array<double, 2>{quantile(values, 0.025), quantile(values, 0.975)};
}

}  // namespace lriad

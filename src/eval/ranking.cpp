#include "ranking.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace lriad {

std::optional<double> rank_of(const Prediction& prediction) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (prediction.verdict == Verdict::kInvalid) return prediction.label == Verdict::kDefect ? -kInfinity : kInfinity;
  return prediction.score;
}

Ranking::Ranking(const std::vector<const Prediction*>& rows) : step_of(rows.size(), -1) {
  for (const Prediction* row : rows) {
    if (const auto rank = rank_of(*row)) scores.push_back(*rank);
  }
  std::sort(scores.begin(), scores.end(), std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  steps.resize(scores.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto rank = rank_of(*rows[i]);
    if (!rank) continue;
    step_of[i] = std::lower_bound(scores.begin(), scores.end(), *rank, std::greater<>()) - scores.begin();
    steps[static_cast<size_t>(step_of[i])].count(rows[i]->label == Verdict::kDefect);
  }
}

RankStep total(const std::vector<RankStep>& steps) {
  RankStep sum;
  for (const RankStep& step : steps) {
    sum.defects += step.defects;
    sum.normals += step.normals;
  }
  return sum;
}

size_t steps_within(const std::vector<RankStep>& steps, double share) {
  const auto normals = static_cast<double>(total(steps).normals);
  int64_t above = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    above += steps[i].normals;
    if (static_cast<double>(above) / normals > share) return i;
  }
  return steps.size();
}

std::optional<double> auroc_of(const std::vector<RankStep>& steps) {
  const RankStep all = total(steps);
  if (all.defects == 0 || all.normals == 0) return std::nullopt;
  double pairs = 0, above = 0;
  for (const RankStep& step : steps) {
    const auto defects = static_cast<double>(step.defects);
    pairs += static_cast<double>(step.normals) * (above + defects / 2);
    above += defects;
  }
  return pairs / (above * static_cast<double>(all.normals));
}

std::optional<double> area_under_curve(std::vector<std::pair<double, bool>> values) {
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<RankStep> steps;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i == 0 || values[i].first != values[i - 1].first) steps.emplace_back();
    steps.back().count(values[i].second);
  }
  return auroc_of(steps);
}

std::optional<double> recall_at(const std::vector<RankStep>& steps, double share) {
  const RankStep all = total(steps);
  if (all.defects == 0 || all.normals == 0) return std::nullopt;
  int64_t found = 0;
  const size_t allowed = steps_within(steps, share);
  for (size_t i = 0; i < allowed; ++i) found += steps[i].defects;
  return static_cast<double>(found) / static_cast<double>(all.defects);
}

}  // namespace lriad

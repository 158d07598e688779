#include "lriad/eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "class_metrics.h"
#include "lriad/core/error.h"
#include "ranking.h"

namespace lriad {
namespace {

using Fraction = std::optional<double>;

ClassMetrics::Interval wilson(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  constexpr double kZ = 1.959963984540054;  // 97.5% quantile of the standard normal
  const double n = static_cast<double>(whole);
  const double p = static_cast<double>(part) / n;
  const double scale = 1 + kZ * kZ / n;
  const double centre = (p + kZ * kZ / (2 * n)) / scale;
  const double half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n)) / scale;
  // The formula gives exactly 0 and 1 at the ends only without rounding.
  const double low = part == 0 ? 0.0 : std::clamp(centre - half, 0.0, p);
  const double high = part == whole ? 1.0 : std::clamp(centre + half, p, 1.0);
  return std::array<double, 2>{low, high};
}

void set_ranking_metrics(ClassMetrics& m, const Rows& rows) {
  const Ranking ranking(rows);
  m.auroc = auroc_of(ranking.steps);
  for (size_t i = 0; i < kFalseAlarmShares.size(); ++i) {
    m.recall_at_false_alarms[i] = recall_at(ranking.steps, kFalseAlarmShares[i]);
  }
}

ClassMetrics class_metrics(const Rows& rows, InvalidPolicy policy, bool any_scored) {
  ClassMetrics m;
  for (const Prediction* row : rows) count_answer(m, *row);
  set_fractions(m, policy);
  m.ci95_accuracy = wilson(m.tp + m.tn, m.n);
  m.ci95_recall = wilson(m.tp, m.n_defect);
  m.ci95_specificity = wilson(m.tn, m.n_normal);
  if (any_scored) set_ranking_metrics(m, rows);
  return m;
}

/// What the answer `answers_defect` to every image would reach.
ClassMetrics constant_answer(const ClassMetrics& overall, bool answers_defect, InvalidPolicy policy) {
  ClassMetrics m;
  m.n = overall.n;
  m.n_defect = overall.n_defect;
  m.n_normal = overall.n_normal;
  (answers_defect ? m.tp : m.fn) = m.n_defect;
  (answers_defect ? m.fp : m.tn) = m.n_normal;
  set_fractions(m, policy);
  return m;
}

void set_object_mean(MetricsReport& report) {
  ClassMetrics mean = report.overall;
  int64_t defined = 0;
  for (const NamedFraction& fraction : named_fractions()) {
    Fraction& value = mean.*fraction.value;
    value = mean_of(
        report.objects, [&](const ClassMetrics& m) { return m.*fraction.value; }, defined);
    report.mean_objects[fraction.name] = defined;
    if (fraction.interval != nullptr) (mean.*fraction.interval).reset();
  }
  for (size_t i = 0; i < kFalseAlarmShares.size(); ++i) {
    mean.recall_at_false_alarms[i] = mean_of(
        report.objects, [&](const ClassMetrics& m) { return m.recall_at_false_alarms[i]; }, defined);
  }
  report.object_mean = mean;
}

}  // namespace

MetricsReport compute_metrics(const std::vector<Prediction>& predictions, InvalidPolicy policy, int64_t skipped) {
  MetricsReport report;
  Coverage& coverage = report.coverage;
  coverage.skipped = coverage.labelled = skipped;
  Rows all;
  std::map<std::string, Rows> by_object;
  for (const Prediction& prediction : predictions) {
    if (!prediction.label) continue;
    ++coverage.labelled;
    if (prediction.unreadable()) {
      ++coverage.unreadable;
      continue;
    }
    ++coverage.answered;
    all.push_back(&prediction);
    by_object[prediction.object].push_back(&prediction);
    if (*prediction.label == Verdict::kNormal) continue;
    DefectTypeRecall& type = report.by_defect_type[prediction.object][prediction.defect_type];
    ++type.n;
    type.found += prediction.verdict == Verdict::kDefect ? 1 : 0;
  }
  coverage.scored =
      std::ranges::count_if(all, [](const Prediction* row) { return row->score && row->verdict != Verdict::kInvalid; });
  report.overall = class_metrics(all, policy, coverage.scored > 0);
  for (const auto& [name, rows] : by_object) report.objects[name] = class_metrics(rows, policy, coverage.scored > 0);
  set_object_mean(report);
  set_bootstrap_intervals(report, all, policy);
  report.always_normal = constant_answer(report.overall, /*answers_defect=*/false, policy);
  report.always_defect = constant_answer(report.overall, /*answers_defect=*/true, policy);
  return report;
}

const std::vector<NamedFraction>& named_fractions() {
  using M = ClassMetrics;
  static const std::vector<NamedFraction> kFractions = {
      {"accuracy", &M::accuracy, &M::ci95_accuracy},
      {"f1_macro", &M::f1_macro, &M::ci95_f1_macro},
      {"f1_defect", &M::f1_defect, nullptr},
      {"f1_normal", &M::f1_normal, nullptr},
      {"precision_defect", &M::precision_defect, nullptr},
      {"recall", &M::recall, &M::ci95_recall},
      {"specificity", &M::specificity, &M::ci95_specificity},
      {"balanced_accuracy", &M::balanced_accuracy, &M::ci95_balanced_accuracy},
      {"auroc", &M::auroc, &M::ci95_auroc},
      {"invalid_rate", &M::invalid_rate, nullptr},
  };
  return kFractions;
}

std::optional<double> metric_by_name(const ClassMetrics& metrics, const std::string& name) {
  std::string known;
  for (const NamedFraction& fraction : named_fractions()) {
    if (name == fraction.name) return metrics.*fraction.value;
    known += concat(known.empty() ? "" : ", ", fraction.name);
  }
  fail("eval", "metric ", name, " is not known, expected one of ", known);
}

}  // namespace lriad

#include "lriad/eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using Fraction = std::optional<double>;
using FractionField = Fraction ClassMetrics::*;

struct NamedFraction {
  const char* name;
  FractionField field;
};

constexpr std::array<NamedFraction, 10> kFractions = {{
    {"accuracy", &ClassMetrics::accuracy},
    {"f1_macro", &ClassMetrics::f1_macro},
    {"f1_defect", &ClassMetrics::f1_defect},
    {"f1_normal", &ClassMetrics::f1_normal},
    {"precision_defect", &ClassMetrics::precision_defect},
    {"recall", &ClassMetrics::recall},
    {"specificity", &ClassMetrics::specificity},
    {"balanced_accuracy", &ClassMetrics::balanced_accuracy},
    {"auroc", &ClassMetrics::auroc},
    {"invalid_rate", &ClassMetrics::invalid_rate},
}};

Fraction ratio(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

Fraction mean_of_two(const Fraction& a, const Fraction& b) {
  if (!a || !b) return std::nullopt;
  return (*a + *b) / 2;
}

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

/// Mann-Whitney: (rank sum of the defects - its minimum) / pairs, equal scores sharing their mean rank.
Fraction auroc(const std::vector<const Prediction*>& rows) {
  std::vector<std::pair<double, bool>> scored;
  for (const Prediction* row : rows) {
    if (row->score) scored.emplace_back(*row->score, *row->label == Verdict::kDefect);
  }
  std::sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  double rank_sum = 0;
  double defects = 0;
  for (size_t begin = 0, end = 0; begin < scored.size(); begin = end) {
    double tied_defects = 0;
    while (end < scored.size() && scored[end].first == scored[begin].first)
      tied_defects += scored[end++].second ? 1 : 0;
    rank_sum += tied_defects * (static_cast<double>(begin + end + 1) / 2);
    defects += tied_defects;
  }
  const double normals = static_cast<double>(scored.size()) - defects;
  if (defects == 0 || normals == 0) return std::nullopt;
  return (rank_sum - defects * (defects + 1) / 2) / (defects * normals);
}

struct Counts {
  int64_t right = 0, other = 0, invalid = 0;
  int64_t total() const { return right + other + invalid; }
};

Counts count_answers(const std::vector<const Prediction*>& rows, Verdict label) {
  const Verdict right = label == Verdict::kDefect ? Verdict::kDefect : Verdict::kNormal;
  Counts counts;
  for (const Prediction* row : rows) {
    if (*row->label != label) continue;
    (row->verdict == Verdict::kInvalid ? counts.invalid : row->verdict == right ? counts.right : counts.other) += 1;
  }
  return counts;
}

/// scikit-learn's macro average: over every label that is true or answered somewhere, `invalid` being a third one.
Fraction macro_over_occurring(const ClassMetrics& m) {
  const bool defect_occurs = m.n_defect + m.tp + m.fp > 0;
  const bool normal_occurs = m.n_normal + m.tn + m.fn > 0;
  const bool invalid_occurs = m.invalid_defect + m.invalid_normal > 0;
  const int labels =
      static_cast<int>(defect_occurs) + static_cast<int>(normal_occurs) + static_cast<int>(invalid_occurs);
  if (labels == 0) return std::nullopt;
  return (m.f1_defect.value_or(0) + m.f1_normal.value_or(0)) / labels;
}

void set_fractions(ClassMetrics& m, InvalidPolicy policy) {
  m.accuracy = ratio(m.tp + m.tn, m.n);
  if (policy == InvalidPolicy::kWrong) {
    m.f1_defect = ratio(2 * m.tp, 2 * m.tp + m.fp + m.fn);
    m.f1_normal = ratio(2 * m.tn, 2 * m.tn + m.fp + m.fn);
    m.f1_macro = mean_of_two(m.f1_defect, m.f1_normal);
  } else {
    m.f1_defect = ratio(2 * m.tp, m.n_defect + m.tp + m.fp);
    m.f1_normal = ratio(2 * m.tn, m.n_normal + m.tn + m.fn);
    m.f1_macro = macro_over_occurring(m);
  }
  m.precision_defect = ratio(m.tp, m.tp + m.fp);
  m.recall = ratio(m.tp, m.n_defect);
  m.specificity = ratio(m.tn, m.n_normal);
  m.balanced_accuracy = mean_of_two(m.recall, m.specificity);
  m.invalid_rate = ratio(m.invalid_defect + m.invalid_normal, m.n);
  m.ci95_accuracy = wilson(m.tp + m.tn, m.n);
  m.ci95_recall = wilson(m.tp, m.n_defect);
  m.ci95_specificity = wilson(m.tn, m.n_normal);
}

ClassMetrics class_metrics(const std::vector<const Prediction*>& rows, InvalidPolicy policy) {
  const Counts defect = count_answers(rows, Verdict::kDefect);
  const Counts normal = count_answers(rows, Verdict::kNormal);
  ClassMetrics m;
  m.n_defect = defect.total();
  m.n_normal = normal.total();
  m.n = m.n_defect + m.n_normal;
  m.tp = defect.right;
  m.tn = normal.right;
  m.fn = defect.other;
  m.fp = normal.other;
  m.invalid_defect = defect.invalid;
  m.invalid_normal = normal.invalid;
  if (policy == InvalidPolicy::kWrong) {
    m.fn += m.invalid_defect;
    m.fp += m.invalid_normal;
  }
  set_fractions(m, policy);
  m.auroc = auroc(rows);
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

ClassMetrics mean_over_objects(const std::map<std::string, ClassMetrics>& objects, const ClassMetrics& overall) {
  ClassMetrics mean = overall;
  mean.ci95_accuracy = mean.ci95_recall = mean.ci95_specificity = std::nullopt;
  for (const NamedFraction& fraction : kFractions) {
    double sum = 0;
    int64_t defined = 0;
    for (const auto& [name, metrics] : objects) {
      if (const Fraction& value = metrics.*fraction.field) {
        sum += *value;
        ++defined;
      }
    }
    mean.*fraction.field = defined == 0 ? Fraction() : Fraction(sum / static_cast<double>(defined));
  }
  return mean;
}

}  // namespace

MetricsReport compute_metrics(const std::vector<Prediction>& predictions, InvalidPolicy policy) {
  std::vector<const Prediction*> all;
  std::map<std::string, std::vector<const Prediction*>> by_object;
  for (const Prediction& prediction : predictions) {
    if (!prediction.label) continue;
    all.push_back(&prediction);
    by_object[prediction.object].push_back(&prediction);
  }
  MetricsReport report;
  report.overall = class_metrics(all, policy);
  for (const auto& [name, rows] : by_object) report.objects[name] = class_metrics(rows, policy);
  report.object_mean = mean_over_objects(report.objects, report.overall);
  report.always_normal = constant_answer(report.overall, /*answers_defect=*/false, policy);
  report.always_defect = constant_answer(report.overall, /*answers_defect=*/true, policy);
  return report;
}

std::optional<double> metric_by_name(const ClassMetrics& metrics, const std::string& name) {
  std::string known;
  for (const NamedFraction& fraction : kFractions) {
    if (name == fraction.name) return metrics.*fraction.field;
    known += concat(known.empty() ? "" : ", ", fraction.name);
  }
  fail("eval", "metric ", name, " is not known, expected one of ", known);
}

}  // namespace lriad

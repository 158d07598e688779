#include "class_metrics.h"

namespace lriad {
namespace {

using Fraction = std::optional<double>;

Fraction ratio(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

Fraction mean_of_two(const Fraction& a, const Fraction& b) {
  if (!a || !b) return std::nullopt;
  return (*a + *b) / 2;
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

}  // namespace

void count_answer(ClassMetrics& m, const Prediction& row) {
  const bool defect = *row.label == Verdict::kDefect;
  ++m.n;
  ++(defect ? m.n_defect : m.n_normal);
  if (row.verdict == Verdict::kInvalid) {
    ++(defect ? m.invalid_defect : m.invalid_normal);
  } else if (row.verdict == *row.label) {
    ++(defect ? m.tp : m.tn);
  } else {
    ++(defect ? m.fn : m.fp);
  }
  if (row.score && row.verdict != Verdict::kInvalid) ++m.scored;
}

void set_fractions(ClassMetrics& m, InvalidPolicy policy) {
  m.accuracy = ratio(m.tp + m.tn, m.n);
  if (policy == InvalidPolicy::kWrong) {
    m.fn += m.invalid_defect;
    m.fp += m.invalid_normal;
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
}

}  // namespace lriad

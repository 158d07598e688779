#pragma once

#include <optional>

#include "lriad/eval/metrics.h"

namespace lriad {

using Rows = std::vector<const Prediction*>;  ///< labelled, readable images

/// Adds an answer to the counts; fn and fp count valid answers alone until set_fractions().
void count_answer(ClassMetrics& m, const Prediction& row);

/// The fractions that follow from the counts. With kWrong the invalid answers enter fn and fp.
void set_fractions(ClassMetrics& m, InvalidPolicy policy);

/// Mean of what `field` gives for those objects where it is defined; how many those are goes to `defined`.
template <class Objects, class Field>
std::optional<double> mean_of(const Objects& objects, const Field& field, int64_t& defined) {
  double sum = 0;
  defined = 0;
  for (const auto& [name, metrics] : objects) {
    if (const std::optional<double>& value = field(metrics)) {
      sum += *value;
      ++defined;
    }
  }
  if (defined == 0) return std::nullopt;
  return sum / static_cast<double>(defined);
}

/// Fills the intervals that are still open with those of the bootstrap over `rows`.
void set_bootstrap_intervals(MetricsReport& report, const Rows& rows, InvalidPolicy policy);

}  // namespace lriad

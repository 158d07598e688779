#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"

namespace lriad {

/// What a threshold on the score has to keep to; one of the two is set. Shares 0..1.
struct ThresholdRule {
  std::optional<double> max_false_alarms;  ///< the lowest threshold with at most this share of false alarms
  std::optional<double> min_recall;        ///< the highest threshold with at least this recall
};

/// The threshold that `rule` asks for on `predictions`, those of split `split`: one of their scores, or just above the
/// highest if even that one gives too many false alarms. Invalid answers count as in recall_at_false_alarms. Throws
/// Error if no threshold can do it, or if the images that the rule looks at are missing.
double choose_threshold(const std::vector<Prediction>& predictions, const ThresholdRule& rule,
                        const std::string& split);

/// A valid answer with a score is a defect if score >= threshold; any other keeps its verdict.
Verdict verdict_at(Verdict verdict, const std::optional<double>& score, const std::optional<double>& threshold);

}  // namespace lriad

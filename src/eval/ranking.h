#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "lriad/eval/metrics.h"

namespace lriad {

/// Where an answer stands in the order of the score: at its score, or at the wrong end (plus or minus infinity) if it
/// is invalid, so that a broken answer never makes the ranking look better. Null: a valid answer without a score.
std::optional<double> rank_of(const Prediction& prediction);

/// How many images of each label share a place in the order.
struct RankStep {
  int64_t defects = 0, normals = 0;
  void count(bool defect) { ++(defect ? defects : normals); }
};

/// The places of the predictions in falling order of the score.
struct Ranking {
  explicit Ranking(const std::vector<const Prediction*>& rows);

  std::vector<double> scores;           ///< of each step
  std::vector<RankStep> steps;          ///< which images stand there
  std::vector<std::ptrdiff_t> step_of;  ///< step of each row, -1: none
};

RankStep total(const std::vector<RankStep>& steps);

/// How many steps a threshold may let through with at most `share` of false alarms; all of them without normal images.
size_t steps_within(const std::vector<RankStep>& steps, double share);

/// Probability that a defect stands above a normal image, sharing a step counting half (Mann-Whitney; scikit-learn's
/// roc_auc_score); null if a class is missing.
std::optional<double> auroc_of(const std::vector<RankStep>& steps);

/// auroc_of() of values, each with whether it is positive.
std::optional<double> area_under_curve(std::vector<std::pair<double, bool>> values);

/// Largest recall over thresholds of the score with at most `share` of false alarms (scikit-learn's roc_curve); null if
/// a class is missing.
std::optional<double> recall_at(const std::vector<RankStep>& steps, double share);

}  // namespace lriad

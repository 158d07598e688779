#pragma once

#include <cstdint>
#include <vector>

#include "class_metrics.h"
#include "lriad/core/random.h"
#include "ranking.h"

namespace lriad {

inline constexpr int64_t kResamples = 1000;

/// Draws images anew, with replacement, within each label of each object, so that the numbers of defects and normal
/// images stay what they are. The same rows give the same draws for ever.
class Bootstrap {
 public:
  explicit Bootstrap(const Rows& rows);

  /// Calls `take(row)` for each image drawn in resample number `resample`.
  template <class Take>
  void draw(int64_t resample, const Take& take) const {
    for (size_t s = 0; s < strata_.size(); ++s) {
      const std::vector<size_t>& rows = strata_[s];
      for (size_t i = 0; i < rows.size(); ++i) {
        take(rows[random_.below(rows.size(), static_cast<uint32_t>(resample), static_cast<uint32_t>(s),
                                static_cast<uint32_t>(i))]);
      }
    }
  }

 private:
  std::vector<std::vector<size_t>> strata_;  ///< rows by object, the normal ones before the defects
  CounterRandom random_;
};

/// Metrics of a resample; the order of the scores is worked out once, for all resamples.
class Resample {
 public:
  explicit Resample(const Rows& rows) : rows_(rows), ranking_(rows), steps_(ranking_.steps.size()) {}
  void clear();
  void add(size_t row);
  /// Counts, fractions and AUROC.
  const ClassMetrics& finish(InvalidPolicy policy);
  /// The drawn images in the order of the score.
  const std::vector<RankStep>& steps() const { return steps_; }
  /// All images in that order.
  const Ranking& ranking() const { return ranking_; }

 private:
  Rows rows_;
  Ranking ranking_;
  std::vector<RankStep> steps_;
  ClassMetrics metrics_;
};

/// From the 2.5% to the 97.5% quantile, interpolated as numpy.quantile does; null if there are no values.
ClassMetrics::Interval percentile_interval(std::vector<double> values);

}  // namespace lriad

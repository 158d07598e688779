#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"

namespace lriad {

/// McNemar's exact test: how often one run alone was right, and the probability of a split at least as uneven if both
/// were equally good (two-sided binomial test; statsmodels.stats.contingency_tables.mcnemar with exact=True).
struct McNemar {
  int64_t only_a = 0, only_b = 0;
  double p_value = 1;
};
McNemar mcnemar(int64_t only_a, int64_t only_b);

/// A metric of both runs and the 95% interval of b - a by the paired bootstrap: both runs have the same resamples.
struct MetricChange {
  std::string name;
  std::optional<double> a, b;
  ClassMetrics::Interval difference;
};

/// Two runs over the same images.
struct Comparison {
  std::vector<std::pair<const Prediction*, const Prediction*>> changed;  ///< those whose verdicts differ
  ClassMetrics a, b;
  int64_t unreadable = 0;             ///< images that one of the runs could not read, left out of both
  McNemar verdicts;                   ///< right and wrong verdicts as they stand
  std::vector<MetricChange> metrics;  ///< accuracy, balanced accuracy, ...
  std::optional<MetricChange> auroc;  ///< null without scores
  std::vector<MetricChange> recalls;  ///< at kFalseAlarmShares, each run at its own threshold; empty without scores
  std::vector<McNemar> found;         ///< for each of `recalls`: defects that one run alone finds there
};

/// Joins by sample_id. Throws Error if the runs do not hold the same labelled images, naming the first that differs.
/// The predictions must outlive the comparison.
Comparison compare_runs(const std::vector<Prediction>& a, const std::vector<Prediction>& b, InvalidPolicy policy);

/// For the terminal: changed verdicts first, of which at most `max_changed` are shown.
std::string comparison_text(const Comparison& comparison, int64_t max_changed = 20);

/// Writes compare.json atomically; `a` and `b` name the runs.
void write_comparison(const std::filesystem::path& path, const Comparison& comparison, const std::string& a,
                      const std::string& b);

}  // namespace lriad

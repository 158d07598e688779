#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/core/verdict.h"
#include "lriad/data/dataset.h"

namespace lriad {

/// One line of predictions.jsonl.
struct Prediction {
  std::string sample_id;
  std::string image;
  std::string object;
  std::string defect_type;
  std::optional<Verdict> label;
  std::string text;
  Verdict verdict = Verdict::kInvalid;
  std::optional<double> score;  ///< probability of A against B at the answer position
  int64_t length = 0;
  bool truncated = false;
  std::vector<int64_t> prompt_ids;      ///< empty unless asked for
  std::vector<int64_t> completion_ids;  ///< empty unless asked for
  std::vector<double> logprobs;         ///< empty unless asked for
};

enum class InvalidPolicy { kWrong, kExtraClass };

/// The figures M of metrics.json; null where undefined. Fractions 0..1, defect is positive.
struct ClassMetrics {
  int64_t n = 0, n_defect = 0, n_normal = 0;
  int64_t tp = 0, tn = 0, fp = 0, fn = 0;
  int64_t invalid_defect = 0, invalid_normal = 0;
  std::optional<double> accuracy, f1_macro, f1_defect, f1_normal, precision_defect, recall, specificity;
  std::optional<double> balanced_accuracy, auroc, invalid_rate;
  using Interval = std::optional<std::array<double, 2>>;
  Interval ci95_accuracy, ci95_recall, ci95_specificity;  ///< Wilson score interval, 95%
};

/// metrics.json without its settings.
struct MetricsReport {
  ClassMetrics overall;
  ClassMetrics object_mean;  ///< plain mean over objects of every fraction that is defined
  std::map<std::string, ClassMetrics> objects;
  ClassMetrics always_normal, always_defect;
};

/// Predictions without a label are left out.
MetricsReport compute_metrics(const std::vector<Prediction>& predictions, InvalidPolicy policy);

/// A figure by its name in metrics.json (accuracy, f1_macro, balanced_accuracy, recall, auroc, …). Throws Error for an
/// unknown name, listing the known ones.
std::optional<double> metric_by_name(const ClassMetrics& metrics, const std::string& name);

/// Table by object, overall and baselines for the terminal.
std::string metrics_table(const MetricsReport& report);

}  // namespace lriad

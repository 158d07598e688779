#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/core/verdict.h"
#include "lriad/data/dataset.h"
#include "lriad/eval/heat_map.h"

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
  std::string error;                    ///< why the image could not be read, so that nothing answered; else empty
  std::vector<std::string> reference;   ///< reference images of the prompt, as the data set they come from names them
  std::vector<int64_t> prompt_ids;      ///< empty unless asked for
  std::vector<int64_t> completion_ids;  ///< empty unless asked for
  std::vector<double> logprobs;         ///< empty unless asked for
  std::optional<HeatMap> map;           ///< null unless asked for

  bool unreadable() const { return !error.empty(); }
};

const char* verdict_text(const Prediction& prediction);  ///< as predictions.jsonl has it: verdict_name() or unreadable

enum class InvalidPolicy { kWrong, kExtraClass };

/// Shares of false alarms at which the recall of the score is given.
inline constexpr std::array<double, 4> kFalseAlarmShares = {0.01, 0.02, 0.05, 0.1};

/// The metrics M of metrics.json; null where undefined. Fractions 0..1, defect is positive.
struct ClassMetrics {
  int64_t n = 0, n_defect = 0, n_normal = 0;
  int64_t tp = 0, tn = 0, fp = 0, fn = 0;
  int64_t invalid_defect = 0, invalid_normal = 0;
  int64_t scored = 0;  ///< valid answers with a score
  std::optional<double> accuracy, f1_macro, f1_defect, f1_normal, precision_defect, recall, specificity;
  std::optional<double> balanced_accuracy, invalid_rate;
  /// AUROC and recall follow from the order of the scores. An invalid answer ranks as most normal if the label is
  /// defect and as most defective if it is normal; a valid answer without a score is left out. Null if a class is
  /// missing or no answer at all was scored.
  std::optional<double> auroc;
  /// Largest recall over thresholds of the score with at most the share kFalseAlarmShares[i] of false alarms.
  std::array<std::optional<double>, kFalseAlarmShares.size()> recall_at_false_alarms;
  using Interval = std::optional<std::array<double, 2>>;
  /// 95%: Wilson's score interval; of means of objects by the bootstrap.
  Interval ci95_accuracy, ci95_recall, ci95_specificity;
  /// 95% by the bootstrap (Efron and Tibshirani 1993, percentile interval): 1000 resamples of the images, drawn within
  /// each label of each object from a seed that is always the same.
  Interval ci95_balanced_accuracy, ci95_f1_macro, ci95_auroc;
};

/// Of the labelled images: how much the metrics cover.
struct Coverage {
  int64_t labelled = 0;    ///< images asked for
  int64_t answered = 0;    ///< have an answer, an invalid one included
  int64_t skipped = 0;     ///< have no line in predictions.jsonl
  int64_t unreadable = 0;  ///< their file could not be read
  int64_t scored = 0;      ///< have a valid answer with a score
};

/// How many defects of a type were answered for, and called defect.
struct DefectTypeRecall {
  int64_t n = 0, found = 0;
};

/// What a threshold on the score gives on the images it was not chosen on.
struct OperatingPoint {
  double threshold = 0;                        ///< a valid answer is a defect if its score is at least this
  std::string chosen_on, reported_on;          ///< splits
  std::optional<double> recall, false_alarms;  ///< on `reported_on`
};

/// The evaluation that chose the checkpoint.
struct CheckpointChoice {
  std::string text;        ///< "auroc on data/visa, split test"
  bool same_data = false;  ///< the metrics are on those images, and therefore too good
};

/// metrics.json without its settings.
struct MetricsReport {
  ClassMetrics overall;
  ClassMetrics object_mean;                     ///< plain mean over objects of every fraction that is defined
  std::map<std::string, int64_t> mean_objects;  ///< fraction -> number of objects for which it is defined
  std::map<std::string, ClassMetrics> objects;
  std::map<std::string, std::map<std::string, DefectTypeRecall>> by_defect_type;  ///< object -> defect type -> counts
  ClassMetrics always_normal, always_defect;
  Coverage coverage;
  std::optional<CheckpointChoice> chosen_on;      ///< null: not chosen by an evaluation
  std::optional<OperatingPoint> operating_point;  ///< null: the answers' own verdicts
  std::optional<MapMetrics> maps;                 ///< null: no heat maps were made
};

/// Predictions without a label are left out, those of unreadable images count in the coverage alone. `skipped`:
/// labelled images that have no prediction.
MetricsReport compute_metrics(const std::vector<Prediction>& predictions, InvalidPolicy policy, int64_t skipped = 0);

/// A fraction of M by its name in metrics.json, with its interval where it has one.
struct NamedFraction {
  const char* name;
  std::optional<double> ClassMetrics::*value;
  ClassMetrics::Interval ClassMetrics::*interval;  ///< null: none
};
const std::vector<NamedFraction>& named_fractions();  ///< in the order of metrics.json

/// A figure by its name in metrics.json (accuracy, f1_macro, balanced_accuracy, recall, auroc, …). Throws Error for an
/// unknown name, listing the known ones.
std::optional<double> metric_by_name(const ClassMetrics& metrics, const std::string& name);

/// Tables by object and by defect type, overall and baselines, intervals and coverage for the terminal.
std::string metrics_table(const MetricsReport& report);

}  // namespace lriad

#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "eval_options.h"
#include "lriad/core/files.h"
#include "lriad/data/dataset.h"
#include "lriad/eval/metrics.h"
#include "lriad/eval/report.h"
#include "lriad/eval/settings.h"
#include "lriad/run/run_folder.h"

namespace lriad {

/// What happens to answers that are in the folder already: --resume, --overwrite, or neither.
enum class Existing { kKeep, kReplace, kRefuse };

/// The folder that --output names: predictions.jsonl and .csv with settings.json beside them, metrics.json, report/ and
/// with --maps maps/.
class EvalOutput {
 public:
  /// Throws Error if the path is a file, or answers with kRefuse. Writes nothing.
  EvalOutput(const std::string& folder, Existing existing);

  /// What decides the verdicts of what is written from now on; null: what the answers say.
  void set_threshold(const std::optional<double>& threshold) { threshold_ = threshold; }

  /// Answers that are there, for --resume. Throws Error if they were made with other settings, or for images that are
  /// not in `dataset` (null: any images).
  std::vector<Prediction> answers_so_far(const Settings& settings, const Dataset* dataset);

  /// Makes ready for add(): removes old metrics, which would no longer match; removes an incomplete last line after
  /// answers_so_far(), or begins predictions.jsonl anew.
  void start(const Settings& settings);
  /// Appends to predictions.jsonl and predictions.csv. Where that fails it may be called again with the same
  /// prediction.
  void add(const Prediction& prediction);

  /// Writes all answers at once, for --import.
  void write_predictions(const std::vector<Prediction>& predictions, const Settings& settings);

  /// Writes metrics.json and the report, with the images of `dataset`.
  void write_results(ReportInput report, const Dataset& dataset) const;

  /// Writes the overlay of a map and names it in the map.
  void write_map(const Sample& sample, HeatMap& map) const;

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path predictions_path() const { return folder_ / "predictions.jsonl"; }

 private:
  void remove_metrics() const;
  std::filesystem::path table_path() const { return folder_ / "predictions.csv"; }
  std::filesystem::path settings_path() const { return folder_ / "settings.json"; }

  std::filesystem::path folder_;
  std::optional<RunLock> lock_;
  std::optional<uint64_t> keep_bytes_;  ///< bytes of predictions.jsonl to keep; null: none
  std::optional<double> threshold_;
  std::vector<std::string> kept_rows_;  ///< of predictions.csv
  std::optional<LineFile> file_, table_;
  bool half_added_ = false;  ///< in predictions.jsonl, not yet in predictions.csv
};

}  // namespace lriad

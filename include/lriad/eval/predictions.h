#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"

namespace lriad {

/// A prediction that names the sample and says nothing of it yet.
Prediction prediction_of(const Sample& sample);

/// One line of predictions.jsonl without its newline. prompt_ids, completion_ids, logprobs and map are written only if
/// not empty; a score or log-probability that is not finite becomes null. `threshold`: what the verdict was decided by.
std::string prediction_line(const Prediction& prediction, const std::optional<double>& threshold = {});

/// The header of predictions.csv and a prediction's row, without line end (RFC 4180). The column `map` has the
/// file of the heat map.
std::string prediction_csv_header();
std::string prediction_csv_row(const Prediction& prediction, const std::optional<double>& threshold);

/// Whether the image was looked at and called a defect.
bool called_defect(const Prediction& prediction);

/// Reads one line of prediction_line() back; throws Error saying what is wrong with it.
Prediction parse_prediction(const std::string& line);

/// What a predictions.jsonl holds, perhaps of a run that was killed.
struct PredictionLog {
  std::vector<Prediction> predictions;
  uint64_t complete_bytes = 0;  ///< size up to the end of the last good line; what follows is half a line
};

/// Reads predictions.jsonl back. Half a line at the end is left out; any other bad line, or a sample that comes twice,
/// throws Error naming file and line.
PredictionLog read_predictions(const std::filesystem::path& path);

}  // namespace lriad

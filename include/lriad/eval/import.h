#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "lriad/data/dataset.h"
#include "lriad/eval/metrics.h"

namespace lriad {

struct ImportOptions {
  std::optional<double> threshold;  ///< a valid line is a defect if its score is at least this; null: 0.5
  bool partial = false;             ///< images without a line are left out of the metrics instead of refused
};

/// Somebody else's predictions (CSV with a header, JSONL such as predictions.jsonl, or MMAD's answers JSON), joined by
/// `image` to the samples of `dataset`, whose labels count. `image` may be absolute, relative to the data root or the
/// working folder, or below another root. Needs a `verdict` (defect | normal | invalid | unreadable) or a finite
/// `score` on each line; `text` is kept for the report. Without a threshold, a score that has no verdict beside it must
/// be a probability. Throws Error naming file and line for anything else, for unknown images, for images that come
/// twice and, unless `partial`, for images without a line.
std::vector<Prediction> import_predictions(const std::filesystem::path& path, const Dataset& dataset,
                                           const ImportOptions& options = {});

}  // namespace lriad

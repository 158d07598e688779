#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "lriad/data/dataset.h"
#include "lriad/eval/metrics.h"

namespace lriad {

/// Somebody else's predictions (CSV with a header, or JSONL such as predictions.jsonl), joined by `image` to the
/// samples of `dataset`, whose labels count. `image` may be absolute or relative to the data root or the working
/// folder. Needs a `verdict` (defect | normal | invalid) or a finite `score` on each line; `text` is kept for the
/// report. With a threshold, score >= threshold is a defect, also against the verdict; without one, a score that has no
/// verdict beside it must be a probability and is judged at 0.5. Images without a line are left out with a warning.
/// Throws Error naming file and line for anything else, for unknown images and for images that come twice.
std::vector<Prediction> import_predictions(const std::filesystem::path& path, const Dataset& dataset,
                                           const std::optional<double>& threshold);

}  // namespace lriad

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"
#include "lriad/eval/settings.h"

namespace lriad {

/// What a report shows.
struct ReportInput {
  std::string title;  ///< such as the model's name
  std::vector<Prediction> predictions;
  MetricsReport metrics;
  Settings settings;
  std::map<std::string, std::filesystem::path> images;  ///< sample id -> file; a missing one is shown by name
  int64_t max_gallery = 1000;                           ///< images shown; of more, mistakes first, evenly spaced
};

/// Writes folder/index.html and folder/images/: one page that opens from disk without a network, with the figures, a
/// table by object and a gallery of images with reasoning, answer, label and score. Every text is escaped. Replaces
/// an older report. Throws Error naming the path if writing fails; an image that cannot be read is left out of the
/// page.
void write_report(const std::filesystem::path& folder, const ReportInput& input);

}  // namespace lriad

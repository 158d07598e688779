#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"
#include "lriad/eval/settings.h"

namespace lriad {

/// Content of a report.
struct ReportInput {
  std::string title;  ///< such as the model's name
  std::vector<Prediction> predictions;
  MetricsReport metrics;
  Settings settings;
  std::map<std::string, std::filesystem::path> images;  ///< sample id -> file; without one only the name is shown
  int64_t max_gallery = 1000;  ///< most images shown; if there are more, mistakes come first, evenly spaced
};

/// Writes folder/index.html and folder/images/: a page that needs no network, with the metrics, a table by object and a
/// gallery of images with reasoning, answer, label and score. All texts are escaped. Replaces an older report. Throws
/// Error naming the path if writing fails; an image that cannot be read is left out of the page.
void write_report(const std::filesystem::path& folder, const ReportInput& input);

}  // namespace lriad

#pragma once

#include <string>
#include <vector>

#include "lriad/eval/settings.h"

namespace lriad {

/// The content of metrics.json; `indent` < 0: on one line.
std::string metrics_text(const MetricsReport& report, const std::vector<Prediction>& predictions,
                         const Settings& settings, int indent);

}  // namespace lriad

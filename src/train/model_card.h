#pragma once

#include <string>

#include "lriad/eval/metrics.h"
#include "run_state.h"

namespace lriad {

/// The part of a model card that gives the metrics of an evaluation after step `step`, in Markdown.
std::string evaluation_section(const Config& config, const MetricsReport& report, int64_t step);

/// README.md of a trained adapter or model, a Hugging Face model card: data, settings, metrics with intervals, and what
/// was not shown.
std::string model_card(const RunState& run);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "eval_options.h"
#include "lriad/config/config.h"
#include "lriad/eval/settings.h"

namespace lriad {

/// What the answers depend on: two runs with equal ones may share a predictions.jsonl.
Settings answer_settings(const EvalCommandLine& line, const Config& config, const at::Device& device);

/// The same of imported predictions.
Settings import_settings(const EvalCommandLine& line, const Config& config);

/// Adds how the answers are counted and what counted them.
Settings with_scoring(Settings settings, const Config& config);

const char* format_name(DataFormat format);  ///< as the key data.format spells it

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "eval_options.h"
#include "lriad/config/config.h"
#include "lriad/eval/settings.h"

namespace lriad {

/// The settings that affect answers. Runs with equal settings may share a predictions.jsonl.
Settings answer_settings(const EvalCommandLine& line, const Config& config, const at::Device& device);

/// The settings that affect imported predictions.
Settings import_settings(const EvalCommandLine& line, const Config& config);

/// Adds the settings that affect metrics, and the program's versions.
Settings with_scoring(Settings settings, const Config& config);

}  // namespace lriad

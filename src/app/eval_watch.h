#pragma once

#include "eval_options.h"

namespace lriad {

/// Runs lriad-eval --watch: answers the images of the folders of --images as they come, until a signal ends it. Returns
/// the exit code.
int watch_images(const EvalCommandLine& line, const EvalConfig& given, const std::optional<double>& threshold);

}  // namespace lriad

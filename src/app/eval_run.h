#pragma once

#include "eval_options.h"

namespace lriad {

/// Runs lriad-eval for a command line. Returns the exit code: 0, kDefectExit with
/// --fail-on-defect, or 128 + n if signal n stopped it.
int run_eval(const EvalCommandLine& line);

}  // namespace lriad

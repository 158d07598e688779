#pragma once

#include "eval_options.h"

namespace lriad {

/// Runs lriad-eval for a command line. Returns the exit code: 0, or 128 + n if signal n stopped it after a batch.
int run_eval(const EvalCommandLine& line);

}  // namespace lriad

#pragma once

#include "eval_options.h"

namespace lriad {

/// What lriad-eval does with a command line; the exit code: 0, or 128 + n when signal n stopped it after a batch.
int run_eval(const EvalCommandLine& line);

}  // namespace lriad

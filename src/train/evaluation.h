#pragma once

#include "lriad/dist/communicator.h"
#include "lriad/run/metrics_log.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// Evaluates the present model on the evaluation data, divided among the ranks. Returns the metrics `eval_…` over all
/// images, equal on every rank.
Metrics evaluate_model(RunContext& context, Communicator& communicator);

}  // namespace lriad

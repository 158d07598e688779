#pragma once

#include "lriad/dist/communicator.h"
#include "lriad/run/metrics_log.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// Greedy answers of the model as it stands for the evaluation data, shared out over the ranks: metrics `eval_…` of all
/// images, alike on every rank.
Metrics evaluate_model(RunContext& context, Communicator& communicator);

}  // namespace lriad

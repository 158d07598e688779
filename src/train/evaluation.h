#pragma once

#include "context.h"
#include "grpo_groups.h"
#include "lriad/dist/communicator.h"

namespace lriad {

/// Greedy answers of the model as it stands for the evaluation data, shared out over the ranks: figures `eval_…` of all
/// images, alike on every rank.
Metrics evaluate_model(RunContext& context, Communicator& communicator);

}  // namespace lriad

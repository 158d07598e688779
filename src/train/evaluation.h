#pragma once

#include "grpo_groups.h"
#include "lriad/dist/communicator.h"
#include "materials.h"

namespace lriad {

/// Greedy answers of the model as it stands for the evaluation data, shared out over the ranks: figures `eval_…` of all
/// pictures, alike on every rank.
Figures evaluate_model(Materials& materials, Communicator& communicator);

}  // namespace lriad

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lriad/grpo/token_logprobs.h"
#include "lriad/run/run_context.h"
#include "lriad/run/trained_parameters.h"

namespace lriad {

/// Groups that go through the model together; never empty.
using MicroBatch = std::vector<Group*>;

/// Divides groups in their order into passes of at most `budget` packed rows; a group that is larger passes alone.
std::vector<MicroBatch> divide_into_passes(const std::vector<Group*>& groups, Prefix prefix, int64_t budget);

/// How a stage computes the gradient of a step.
struct StepPasses {
  std::function<std::vector<MicroBatch>()> divide;                   ///< by the memory plan of the moment
  std::function<void(const std::vector<MicroBatch>& passes)> learn;  ///< adds the gradient of all passes
  Prefix prefix = Prefix::kShared;
};

/// Learns from the passes of a step. If memory does not suffice, halves the passes of this step and of all to come in
/// the memory plan and computes the step once more, with the gradient at zero again.
void learn_in_passes(const StepPasses& step, int64_t number, RunContext& context, FlatParameters& parameters);

}  // namespace lriad

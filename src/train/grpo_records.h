#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lriad/dist/communicator.h"
#include "lriad/grpo/group.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// The lines of completions.jsonl for the rollouts of all ranks, in the order of prompts and generations. Collective;
/// the result is equal on every rank.
std::vector<std::string> completion_lines(const std::vector<Group>& groups, int64_t step, const RunContext& context,
                                          Communicator& communicator);

}  // namespace lriad

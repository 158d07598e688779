#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lriad/dist/communicator.h"
#include "lriad/grpo/group.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// Lines of completions.jsonl of a sampling, of all ranks in the order of prompts and generations; alike on every rank.
std::vector<std::string> completion_lines(const std::vector<Group>& groups, int64_t step, const RunContext& context,
                                          Communicator& communicator);

}  // namespace lriad

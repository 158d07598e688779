#pragma once

#include <string>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// Element-wise sums over all ranks, added in rank order, alike on every rank; non-finite numbers pass.
std::vector<double> sum_over_ranks(Communicator& communicator, const std::vector<double>& numbers,
                                   const std::string& what);

}  // namespace lriad

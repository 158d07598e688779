#pragma once

#include <string>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// The numbers of every rank, by rank, bit for bit; alike on every rank.
std::vector<std::vector<double>> gather_numbers(Communicator& communicator, const std::vector<double>& numbers,
                                                const std::string& what);

/// Element-wise sums over all ranks, added in rank order, alike on every rank; non-finite numbers pass.
std::vector<double> sum_over_ranks(Communicator& communicator, const std::vector<double>& numbers,
                                   const std::string& what);

}  // namespace lriad

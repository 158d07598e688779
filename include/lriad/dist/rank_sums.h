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

/// Throws LostRank on every rank, naming the first whose numbers are not those of rank 0 (up to a relative 1e-5:
/// devices may round apart), its host and `where`: "step 5". Returns rank 0's.
std::vector<double> require_same(Communicator& communicator, const std::vector<double>& numbers,
                                 const std::string& what, const std::string& where);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// All-gather of numbers: the result holds each rank's, ordered by rank, bit for bit. All ranks must give as many.
std::vector<std::vector<double>> gather_numbers(Communicator& communicator, const std::vector<double>& numbers,
                                                const std::string& what);

/// As above for a struct whose fields are 8-byte numbers without padding.
template <class Record>
std::vector<Record> gather_records(Communicator& communicator, const Record& own, const std::string& what) {
  static_assert(std::is_trivially_copyable_v<Record> && sizeof(Record) % sizeof(double) == 0);
  std::vector<double> numbers(sizeof(Record) / sizeof(double));
  std::memcpy(numbers.data(), static_cast<const void*>(&own), sizeof(Record));
  std::vector<Record> records;
  for (const std::vector<double>& rank : gather_numbers(communicator, numbers, what)) {
    std::memcpy(static_cast<void*>(&records.emplace_back()), rank.data(), sizeof(Record));
  }
  return records;
}

/// Element-wise sums over all ranks, added in rank order and so equal on every rank. NaN and infinities are allowed.
std::vector<double> sum_over_ranks(Communicator& communicator, const std::vector<double>& numbers,
                                   const std::string& what);

/// The sum over rows [R, N] -> [N], one row a rank, in the rows' dtype (float32 or float64) but added in float64 in
/// rank order: the bits that the host backend gives.
at::Tensor sum_in_rank_order(const at::Tensor& parts_RN);

/// Checks that all ranks hold the same numbers and returns rank 0's. They may differ by a relative 1e-5, since devices
/// round differently. If they differ more, throws LostRank on every rank naming the first such rank, its host and
/// `where` ("step 5").
std::vector<double> require_same(Communicator& communicator, const std::vector<double>& numbers,
                                 const std::string& what, const std::string& where);

}  // namespace lriad

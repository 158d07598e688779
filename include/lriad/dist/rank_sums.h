#pragma once

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "lriad/dist/communicator.h"

namespace lriad {

/// The numbers of every rank, by rank, bit for bit; alike on every rank.
std::vector<std::vector<double>> gather_numbers(Communicator& communicator, const std::vector<double>& numbers,
                                                const std::string& what);

/// The same of a record of numbers: each rank's, by rank. Its fields must be plain numbers without padding.
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

/// Element-wise sums over all ranks, added in rank order, alike on every rank; non-finite numbers pass.
std::vector<double> sum_over_ranks(Communicator& communicator, const std::vector<double>& numbers,
                                   const std::string& what);

/// Throws LostRank on every rank, naming the first whose numbers are not those of rank 0 (up to a relative 1e-5:
/// devices may round apart), its host and `where`: "step 5". Returns rank 0's.
std::vector<double> require_same(Communicator& communicator, const std::vector<double>& numbers,
                                 const std::string& what, const std::string& where);

}  // namespace lriad

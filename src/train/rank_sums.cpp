#include "rank_sums.h"

#include <cstring>

#include "lriad/core/error.h"

namespace lriad {

std::vector<std::vector<double>> gather_numbers(Communicator& communicator, const std::vector<double>& numbers,
                                                const std::string& what) {
  const std::string own(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  std::vector<std::vector<double>> ranks;
  for (const std::string& bytes : communicator.gather(own, what)) {
    if (bytes.size() != own.size()) {
      fail("train", "a rank sent ", bytes.size(), " bytes for ", what, ", expected ", own.size());
    }
    std::memcpy(ranks.emplace_back(numbers.size()).data(), bytes.data(), bytes.size());
  }
  return ranks;
}

std::vector<double> sum_over_ranks(Communicator& communicator, const std::vector<double>& numbers,
                                   const std::string& what) {
  std::vector<double> sums(numbers.size(), 0.0);
  for (const std::vector<double>& part : gather_numbers(communicator, numbers, what)) {
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += part[k];
  }
  return sums;
}

}  // namespace lriad

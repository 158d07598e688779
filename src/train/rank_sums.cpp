#include "rank_sums.h"

#include <cstring>

#include "lriad/core/error.h"

namespace lriad {

std::vector<double> sum_over_ranks(Communicator& communicator, const std::vector<double>& numbers,
                                   const std::string& what) {
  const std::string own(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  std::vector<double> sums(numbers.size(), 0.0);
  for (const std::string& bytes : communicator.gather(own, what)) {
    if (bytes.size() != own.size())
      fail("train", "a rank sent ", bytes.size(), " bytes for ", what, ", expected ", own.size());
    for (std::size_t k = 0; k < sums.size(); ++k) {
      double number = 0;
      std::memcpy(&number, bytes.data() + k * sizeof(double), sizeof number);
      sums[k] += number;
    }
  }
  return sums;
}

}  // namespace lriad

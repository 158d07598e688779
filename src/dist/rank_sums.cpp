#include "lriad/dist/rank_sums.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <iomanip>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/core/host_name.h"

namespace lriad {
namespace {

bool alike(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) {
    if (std::isnan(x) || std::isinf(x)) return std::isnan(x) ? std::isnan(y) : x == y;
    return std::abs(x - y) <= 1e-5 * std::max(std::abs(x), std::abs(y));
  });
}

std::string text_of(const std::vector<double>& numbers) {
  std::ostringstream out;
  out << std::setprecision(17);
  for (const double number : numbers) out << (out.tellp() == 0 ? "" : " and ") << number;
  return out.str();
}

}  // namespace

std::vector<std::vector<double>> gather_numbers(Communicator& communicator, const std::vector<double>& numbers,
                                                const std::string& what) {
  const std::string own(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  std::vector<std::vector<double>> ranks;
  for (const std::string& bytes : communicator.gather(own, what)) {
    require(bytes.size() == own.size(), "dist", "a rank sent ", bytes.size(), " bytes for ", what, ", expected ",
            own.size());
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

at::Tensor sum_in_rank_order(const at::Tensor& parts_RN) {
  at::Tensor sum_N = parts_RN[0].to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  for (int64_t rank = 1; rank < parts_RN.size(0); ++rank) sum_N.add_(parts_RN[rank]);
  return sum_N.to(parts_RN.scalar_type());
}

std::vector<double> require_same(Communicator& communicator, const std::vector<double>& numbers,
                                 const std::string& what, const std::string& where) {
  const std::vector<std::vector<double>> ranks = gather_numbers(communicator, numbers, what);
  const auto other = std::ranges::find_if(ranks, [&](const auto& rank) { return !alike(rank, ranks.front()); });
  if (other == ranks.end()) return ranks.front();
  const auto rank = static_cast<std::size_t>(other - ranks.begin());
  const std::vector<std::string> hosts = communicator.gather(host_name(), "hosts");
  wait_before_leaving(communicator);
  throw LostRank(concat("[dist] rank ", rank, " on ", hosts[rank], " has diverged from rank 0 at ", where, ": ", what,
                        " are ", text_of(*other), ", on rank 0 ", text_of(ranks.front()),
                        "; is its memory or device faulty?"));
}

}  // namespace lriad

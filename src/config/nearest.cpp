#include "nearest.h"

#include <algorithm>

namespace lriad {
namespace {

constexpr std::size_t kLongestName = 100;

/// Damerau's distance (optimal string alignment).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

}  // namespace

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > kLongestName) return "";
  std::string best;
  std::size_t least = std::max<std::size_t>(1, last_part(name).size() / 3) + 1;
  for (const std::string& candidate : known) {
    const bool same_end = last_part(candidate) == last_part(name);
    if (!same_end && std::max(name.size(), candidate.size()) - std::min(name.size(), candidate.size()) >= least)
      continue;
    std::size_t far = distance(name, candidate);
    if (same_end) far = std::min<std::size_t>(far, 1);
    if (far < least) {
      least = far;
      best = candidate;
    }
  }
  return best;
}

}  // namespace lriad

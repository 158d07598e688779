#include "lriad/model/dropout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lriad {
namespace {

constexpr int64_t kRows = 400, kWidth = 300;

at::Tensor keys(uint64_t seed) {
  std::vector<int64_t> keys;
  for (int64_t row = 0; row < kRows; ++row) keys.push_back(dropout_key(seed, row));
  return at::tensor(keys, at::kLong);
}

at::Tensor mask(uint64_t seed, uint64_t stream, double keep = 0.9) {
  return dropout_mask(keys(seed), stream, kWidth, keep, at::kDouble);
}

/// How many standard deviations the mean of `count` numbers that are 1 with probability p is away from p.
double deviation(const at::Tensor& ones, double p) {
  const auto count = static_cast<double>(ones.numel());
  return std::abs(ones.to(at::kDouble).mean().item<double>() - p) / std::sqrt(p * (1 - p) / count);
}

TEST(DropoutMask, KeepsTheGivenShareInEveryRowAndColumnAndScalesIt) {
  const at::Tensor some = mask(1, 1), kept = some > 0;
  EXPECT_TRUE(at::equal(some, kept.to(at::kDouble) / 0.9));
  EXPECT_LT(deviation(kept, 0.9), 4);
  for (int64_t row = 0; row < kRows; ++row) EXPECT_LT(deviation(kept[row], 0.9), 5);
  for (int64_t column = 0; column < kWidth; ++column) EXPECT_LT(deviation(kept.select(1, column), 0.9), 5);
  EXPECT_LT(deviation(mask(1, 1, 0.5) > 0, 0.5), 4);
}

TEST(DropoutMask, RowsColumnsLayersAndSeedsAreIndependent) {
  const at::Tensor kept = mask(1, 1) > 0;
  const auto both = [](const at::Tensor& a, const at::Tensor& b) { return a.logical_and(b); };
  EXPECT_LT(deviation(both(kept, mask(1, 2) > 0), 0.81), 4);
  EXPECT_LT(deviation(both(kept, mask(2, 1) > 0), 0.81), 4);
  EXPECT_LT(deviation(both(kept.slice(0, 1), kept.slice(0, 0, -1)), 0.81), 4);
  EXPECT_LT(deviation(both(kept.slice(1, 1), kept.slice(1, 0, -1)), 0.81), 4);
}

TEST(DropoutMask, ANumberDependsOnItsRowsKeyItsColumnAndTheLayerAlone) {
  const at::Tensor all = mask(5, 3), order = at::tensor({7, 7, 390, 0}, at::kLong);
  EXPECT_TRUE(at::equal(dropout_mask(keys(5).index_select(0, order), 3, 40, 0.9, at::kDouble),
                        all.index_select(0, order).slice(1, 0, 40)));
  EXPECT_TRUE(at::equal(dropout_mask(keys(5), 3, kWidth, 0.9, at::kFloat) > 0, all > 0));
}

}  // namespace
}  // namespace lriad

#include "lriad/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace lriad {
namespace {

using Words = std::array<uint32_t, 4>;

// Known answers of Random123's kat_vectors file.
TEST(Philox, MatchesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRandom, GivesEveryUseAndSeedItsOwnStream) {
  const double a = CounterRandom(1, RandomUse::kToken).uniform(3, 4, 5, 6);
  EXPECT_EQ(a, CounterRandom(1, RandomUse::kToken).uniform(3, 4, 5, 6));
  EXPECT_NE(a, CounterRandom(2, RandomUse::kToken).uniform(3, 4, 5, 6));
  EXPECT_NE(a, CounterRandom(1, RandomUse::kShuffle).uniform(3, 4, 5, 6));
  EXPECT_NE(a, CounterRandom(1, RandomUse::kToken).uniform(3, 4, 6, 5));
}

TEST(CounterRandom, UniformHasTheMomentsOfTheUniformDistribution) {
  const CounterRandom random(7, RandomUse::kToken);
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < 20000; ++i) {
    const double u = random.uniform(i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / 20000, 0.5, 0.01);
  EXPECT_NEAR(squares / 20000, 1.0 / 3, 0.01);
}

TEST(CounterRandom, NormalHasUnitVariance) {
  const CounterRandom random(7, RandomUse::kModelInit);
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < 20000; ++i) {
    const double x = random.normal(i);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 20000, 0, 0.03);
  EXPECT_NEAR(squares / 20000, 1, 0.04);
}

TEST(CounterRandom, BelowReachesEveryValueAboutEquallyOften) {
  const CounterRandom random(5, RandomUse::kShuffle);
  std::array<int, 7> counts{};
  for (uint32_t i = 0; i < 7000; ++i) ++counts.at(random.below(7, i));
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_LT(random.below(uint64_t{1} << 40, 1), uint64_t{1} << 40);
}

TEST(CounterRandom, PermutationHoldsEveryIndexOnceAndDependsOnTheStream) {
  const CounterRandom random(5, RandomUse::kShuffle);
  auto order = random.permutation(100, 0);
  EXPECT_EQ(order, random.permutation(100, 0));
  EXPECT_NE(order, random.permutation(100, 1));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(order[i], static_cast<int64_t>(i));
}

}  // namespace
}  // namespace lriad

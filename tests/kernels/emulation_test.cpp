// Plants faults in kernels and checks that running them on the host shows them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/cuda/block.h"

namespace lriad::kernels {
namespace {

using emulation::Order;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

enum class Fault {
  kNone,
  kNoBarrier,         // reads what other warps write, without a barrier
  kNoSecondBarrier,   // writes again what other warps may still read
  kEarlyReturn,       // some threads leave before a barrier
  kDivergentBarrier,  // some threads wait at another barrier
  kLaneMissing,       // a lane leaves before a shuffle
  kWriteBehind,       // writes one number too many
  kUninitialised,     // reads shared memory that no thread has written
};

/// Twice the sum of x over the block, by way of shared memory, as each thread sees it.
__global__ void sum_kernel(const float* x, float* sums, Fault fault) {
  auto* const room = shared_memory<float>();
  const unsigned t = threadIdx.x;
  if (fault == Fault::kEarlyReturn && t >= 40) return;
  if (fault == Fault::kLaneMissing && t == 5) return;
  if (fault != Fault::kUninitialised || t != 3) room[t] = x[t];
  if (fault == Fault::kWriteBehind && t == 0) room[blockDim.x] = 1;
  if (fault == Fault::kDivergentBarrier && t < 32) {
    __syncthreads();
  } else if (fault != Fault::kNoBarrier) {
    __syncthreads();
  }
  float sum = 0;
  for (unsigned k = 0; k < blockDim.x; ++k) sum += room[k];
  if (fault != Fault::kNoSecondBarrier) __syncthreads();
  room[t] = 2 * sum;
  sums[t] = __shfl_sync(~0u, room[t], 0);
}

std::vector<float> sums_of(Fault fault, Order order) {
  std::vector<float> x(96), sums(x.size());
  std::iota(x.begin(), x.end(), 1.0f);
  emulation::order = order;
  launch(sum_kernel, dim3{1, 1, 1}, 96, x.size() * sizeof(float), nullptr, x.data(), sums.data(), fault);
  emulation::order = Order::kForward;
  return sums;
}

/// Whether the kernel ends with other numbers than it should in one of the orders.
bool shows(Fault fault) {
  const std::vector<float> expected(96, 96.0f * 97.0f);
  return sums_of(fault, Order::kForward) != expected || sums_of(fault, Order::kReverse) != expected;
}

TEST(Emulation, AKernelWithoutFaultsGivesItsNumbersInBothOrders) { EXPECT_FALSE(shows(Fault::kNone)); }

TEST(Emulation, MissingBarriersGiveOtherNumbers) {
  EXPECT_TRUE(shows(Fault::kNoBarrier));
  EXPECT_TRUE(shows(Fault::kNoSecondBarrier));
}

TEST(Emulation, NumbersThatNoThreadWroteAreNotNumbers) {
  EXPECT_TRUE(std::isnan(sums_of(Fault::kUninitialised, Order::kForward)[0]));
}

TEST(Emulation, RefusesBarriersThatNotAllThreadsReach) {
  const auto run = [](Fault fault) { return [fault] { sums_of(fault, Order::kForward); }; };
  EXPECT_THAT(run(Fault::kEarlyReturn), ThrowsMessage<std::logic_error>(HasSubstr("others do not reach")));
  EXPECT_THAT(run(Fault::kLaneMissing), ThrowsMessage<std::logic_error>(HasSubstr("others do not reach")));
  EXPECT_THAT(run(Fault::kDivergentBarrier), ThrowsMessage<std::logic_error>(HasSubstr("different barriers")));
}

TEST(Emulation, RefusesWritesBehindTheSharedMemory) {
  EXPECT_THAT([] { sums_of(Fault::kWriteBehind, Order::kForward); },
              ThrowsMessage<std::logic_error>(HasSubstr("behind the end")));
}

__global__ void shuffle_kernel(int* results) {
  const int lane = static_cast<int>(threadIdx.x % 32), own = static_cast<int>(threadIdx.x);
  int* const out = results + 3 * threadIdx.x;
  out[0] = __shfl_sync(~0u, own, 7);
  out[1] = __shfl_xor_sync(~0u, own, 5);
  out[2] = __shfl_up_sync(~0u, own, 3);
  if (lane > 0) atomicAdd(results + 3 * 64, 1);
}

TEST(Emulation, ShufflesAreThoseOfAWarp) {
  for (const Order order : {Order::kForward, Order::kReverse}) {
    emulation::order = order;
    std::vector<int> results(3 * 64 + 1);
    launch(shuffle_kernel, dim3{1, 1, 1}, 64, 0, nullptr, results.data());
    for (int t = 0; t < 64; ++t) {
      const int* const got = results.data() + 3 * t;
      const int first = t / 32 * 32;
      EXPECT_EQ(got[0], first + 7);
      EXPECT_EQ(got[1], first + ((t % 32) ^ 5));
      EXPECT_EQ(got[2], t % 32 < 3 ? t : t - 3);
    }
    EXPECT_EQ(results.back(), 62);
  }
  emulation::order = Order::kForward;
}

}  // namespace
}  // namespace lriad::kernels

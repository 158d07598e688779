#include "lriad/core/random.h"

#include <cmath>
#include <numbers>

namespace lriad {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

/// Finaliser of splitmix64: spreads seed and use over the key.
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

uint64_t join(uint32_t high, uint32_t low) { return (uint64_t{high} << 32) | low; }

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

CounterRandom::CounterRandom(uint64_t seed, RandomUse use) {
  const uint64_t key = mix(mix(seed) ^ static_cast<uint64_t>(use));
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

std::array<uint32_t, 4> CounterRandom::words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) const {
  return philox4x32({a, b, c, d}, key_);
}

double CounterRandom::uniform(uint32_t a, uint32_t b, uint32_t c, uint32_t d) const {
  const auto w = words(a, b, c, d);
  return static_cast<double>(join(w[0], w[1]) >> 11) * 0x1.0p-53;
}

uint64_t CounterRandom::below(uint64_t n, uint32_t a, uint32_t b, uint32_t c, uint32_t d) const {
  // The high half of a 64 x 64 bit product, put together from 32-bit parts; its bias is n / 2^64.
  const auto w = words(a, b, c, d);
  const uint64_t n_high = n >> 32, n_low = n & 0xFFFFFFFF;
  const uint64_t middle = w[0] * n_low + ((w[1] * n_low) >> 32);
  const uint64_t cross = uint64_t{w[1]} * n_high + (middle & 0xFFFFFFFF);
  return w[0] * n_high + (middle >> 32) + (cross >> 32);
}

double CounterRandom::normal(uint32_t a, uint32_t b, uint32_t c, uint32_t d) const {
  const auto w = words(a, b, c, d);
  const double u = static_cast<double>((join(w[0], w[1]) >> 11) + 1) * 0x1.0p-53;
  const double v = static_cast<double>(join(w[2], w[3]) >> 11) * 0x1.0p-53;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

std::vector<int64_t> CounterRandom::permutation(int64_t n, uint32_t a, uint32_t b) const {
  std::vector<int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) {
    const uint64_t j = below(i, a, b, static_cast<uint32_t>(i), static_cast<uint32_t>(uint64_t{i} >> 32));
    std::swap(order[i - 1], order[j]);
  }
  return order;
}

}  // namespace lriad

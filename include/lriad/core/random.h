#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace lriad {

/// What a random number is for; part of the key, so that no two uses ever share a stream.
enum class RandomUse : uint32_t {
  kToken = 1,
  kShuffle = 2,
  kBalance = 3,
  kLoraInit = 4,
  kDropout = 5,
  kResponse = 6,
  kModelInit = 7,
  kMakeData = 8,
  kMapCells = 14,
  kBootstrap = 9,
  kLimit = 10,
  kReference = 15,
};

/// Four 32-bit random words of Philox4x32-10 (Salmon et al., SC 2011; the generator of Random123 and cuRAND).
/// They depend on counter and key alone, so numbers can be computed in any order and on any thread.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A stateless generator keyed by (seed, use): each function's result depends on the key and its arguments alone, not
/// on earlier calls. The arguments a, b, c, d are the counter, such as step, prompt, completion and token.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, RandomUse use);
  /// Four random words of counter (a, b, c, d).
  std::array<uint32_t, 4> words(uint32_t a, uint32_t b = 0, uint32_t c = 0, uint32_t d = 0) const;
  /// Uniform in [0, 1) with 53 random bits.
  double uniform(uint32_t a, uint32_t b = 0, uint32_t c = 0, uint32_t d = 0) const;
  /// Uniform integer in [0, n), n > 0.
  uint64_t below(uint64_t n, uint32_t a, uint32_t b = 0, uint32_t c = 0, uint32_t d = 0) const;
  /// Standard normal by Box-Muller.
  double normal(uint32_t a, uint32_t b = 0, uint32_t c = 0, uint32_t d = 0) const;
  /// The numbers 0..n-1 shuffled by Fisher-Yates with the random numbers of counters (a, b, ...).
  std::vector<int64_t> permutation(int64_t n, uint32_t a, uint32_t b = 0) const;

 private:
  std::array<uint32_t, 2> key_;
};

}  // namespace lriad

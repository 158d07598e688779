#pragma once

#include "kernels.h"
#include "launch.h"

namespace lriad::kernels {

/// x as T holds it.
template <class T>
__device__ Wide<T> rounded(Wide<T> x) {
  return static_cast<Wide<T>>(static_cast<T>(x));
}

/// Eight neighbouring numbers: 16 bytes of bfloat16, read at once.
template <class T>
struct alignas(16) Eight {
  T at[8];
};
template <class T>
__device__ const Eight<T>* eights(const T* x) {
  return reinterpret_cast<const Eight<T>*>(x);
}
template <class T>
__device__ Eight<T>* eights(T* x) {
  return reinterpret_cast<Eight<T>*>(x);
}

template <class W>
__device__ W larger(W a, W b) {
  return a > b ? a : b;
}

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }

/// Sum over `lanes` neighbouring lanes (a power of two), the same bits in each; all lanes of the warp take part.
template <class W>
__device__ W sum_of_lanes(W value, int lanes = 32) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(~0u, value, mask);
  return value;
}

template <class W>
__device__ W largest_of_lanes(W value) {
  for (int mask = 16; mask > 0; mask /= 2) value = larger(value, __shfl_xor_sync(~0u, value, mask));
  return value;
}

/// Of whole warps: number of the own one, and how many there are.
__device__ inline int warp() { return static_cast<int>(threadIdx.x / 32); }
__device__ inline int num_warps() { return static_cast<int>(blockDim.x / 32); }
__device__ inline int lane() { return static_cast<int>(threadIdx.x % 32); }

/// Puts one value a warp, that of lane 0, into `room` (one place a warp, shared), for all threads to read.
template <class W>
__device__ void share(W of_warp, W* room) {
  __syncthreads();  // the room may still be read
  if (lane() == 0) room[warp()] = of_warp;
  __syncthreads();
}

/// Sum over the block in a fixed order, the same bits in every thread.
template <class W>
__device__ W sum_of_block(W value, W* room) {
  share(sum_of_lanes(value), room);
  W sum = 0;
  for (int w = 0; w < num_warps(); ++w) sum += room[w];
  return sum;
}

template <class W>
__device__ W largest_of_block(W value, W* room) {
  share(largest_of_lanes(value), room);
  W largest = room[0];
  for (int w = 1; w < num_warps(); ++w) largest = larger(largest, room[w]);
  return largest;
}

/// Bytes of shared memory for so many numbers.
template <class W>
std::size_t bytes(int numbers) {
  return static_cast<std::size_t>(numbers) * sizeof(W);
}

/// Whole warps of at most `most` threads for this much work.
inline unsigned threads_for(int work, int most) {
  const int threads = (work + 31) / 32 * 32;
  return static_cast<unsigned>(threads < 32 ? 32 : threads > most ? most : threads);
}

}  // namespace lriad::kernels

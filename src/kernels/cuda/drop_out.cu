#include "block.h"
#include "kernels.h"

// One pass over x, where plain operators take some 20 over a mask of int64.
namespace lriad::kernels {
namespace {

constexpr int kDropOutThreads = 256;
constexpr uint32_t kWeyl = 0x9E3779B9;

/// Finaliser of MurmurHash3, as in model/dropout.cpp.
__device__ inline uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6B;
  x = (x ^ (x >> 13)) * 0xC2B2AE35;
  return x ^ (x >> 16);
}

template <class In, class Out>
__global__ void __launch_bounds__(kDropOutThreads) drop_out_kernel(const DropOut<In, Out> s) {
  using W = Wide<Out>;
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kDropOutThreads + threadIdx.x, first = 8 * n;
  if (first >= s.rows * s.width) return;
  const uint32_t word = mix(static_cast<uint32_t>(s.keys[first / s.width]) ^ s.layer);
  const auto column = static_cast<uint32_t>(first % s.width);
  const Eight<In> x = eights(s.x)[n];
  Eight<Out> out;
  for (uint32_t i = 0; i < 8; ++i) {
    const bool stays = mix(word ^ mix((column + i) * kWeyl + kWeyl)) < s.limit;
    out.at[i] = static_cast<Out>(stays ? static_cast<W>(x.at[i]) * static_cast<W>(s.kept) : W{0});
  }
  eights(s.result)[n] = out;
}

}  // namespace

template <class In, class Out>
void drop_out(const DropOut<In, Out>& s, void* stream) {
  const int64_t chunks = s.rows * s.width / 8;
  launch(drop_out_kernel<In, Out>, {static_cast<unsigned>((chunks + kDropOutThreads - 1) / kDropOutThreads), 1, 1},
         kDropOutThreads, 0, stream, s);
}

template void drop_out<double, double>(const DropOut<double, double>&, void*);
template void drop_out<float, float>(const DropOut<float, float>&, void*);
template void drop_out<c10::BFloat16, float>(const DropOut<c10::BFloat16, float>&, void*);
template void drop_out<float, c10::BFloat16>(const DropOut<float, c10::BFloat16>&, void*);

}  // namespace lriad::kernels

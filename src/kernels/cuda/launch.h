#pragma once

// How kernels are started: by nvcc on a GPU, or fiber by fiber on the host (tests/support/emulate_cuda.h).
#ifdef __CUDACC__
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace lriad::kernels {

/// Shared memory of the block, as many bytes as launch() was given.
template <class Number>
__device__ Number* shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<Number*>(memory);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads, std::size_t shared, void* stream,
            Arguments... arguments) {
  kernel<<<grid, threads, shared, static_cast<cudaStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) throw std::runtime_error(std::string("[kernels] CUDA error: ") + cudaGetErrorString(error));
}

}  // namespace lriad::kernels
#else
#include "support/emulate_cuda.h"
#endif

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lriad {

/// A GPU for machines without one. A program that links fake_device*.cpp, and in which libtorch_cuda is not loaded, has
/// kernels for at::kCUDA: each runs the CPU's operator over the same memory. What would fail or cost time on a card is
/// seen: host code that reads a device tensor dies of a segmentation fault at that line, an operator over tensors of
/// both devices throws, new memory is filled with NaN, and launches and waits are counted. Speed, the rounding of real
/// kernels and memory order are not.
at::Device fake_device();

/// What the host asked of the device.
struct DeviceCounts {
  int64_t launches = 0;          ///< operators that are about one kernel each
  int64_t synchronisations = 0;  ///< waits of the host: numbers read, copies to the host, sizes that depend on data
  int64_t copies = 0;            ///< to the device

  DeviceCounts operator-(const DeviceCounts& other) const {
    return {launches - other.launches, synchronisations - other.synchronisations, copies - other.copies};
  }
};

/// Since the program began.
DeviceCounts device_counts();

}  // namespace lriad

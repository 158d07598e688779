#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lriad {

/// A fake GPU for machines without one. In a program that links fake_device*.cpp and does not load libtorch_cuda,
/// operators for at::kCUDA run the CPU's operator over the same memory. It shows faults that would appear on a GPU:
/// host code that reads a device tensor ends with a segmentation fault at that line, an operator with tensors of both
/// devices throws, new memory is filled with NaN, and launches and waits are counted. It does not show speed, the
/// rounding of real kernels, or errors of memory order.
at::Device fake_device();

/// What the host asked of the device.
struct DeviceCounts {
  int64_t launches = 0;          ///< operators, about one kernel each
  int64_t synchronisations = 0;  ///< waits of the host: numbers read, copies to the host, sizes that depend on data
  int64_t copies = 0;            ///< copies to the device

  DeviceCounts operator-(const DeviceCounts& other) const {
    return {launches - other.launches, synchronisations - other.synchronisations, copies - other.copies};
  }
};

/// Counts since the start of the program.
DeviceCounts device_counts();
void count_synchronisation();

}  // namespace lriad

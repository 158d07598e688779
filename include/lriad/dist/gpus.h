#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lriad {

/// What the NVIDIA driver of this machine says.
struct GpuDriver {
  bool present = false;            ///< the driver's library can be opened
  int64_t cuda_version = 0;        ///< newest CUDA that it serves, 1000 * major + 10 * minor
  std::vector<std::string> cards;  ///< name and memory of each visible GPU, in CUDA's order
  std::string problem;             ///< why it shows no GPU, in its own words; empty if it shows one
};

/// Asks the driver, without loading CUDA's libraries.
GpuDriver ask_gpu_driver();

/// Number of GPUs that this program can compute on. Throws Error with cause and cure if a driver is there that cannot
/// be used: it shows no GPU, or is too old for the CUDA of this libtorch. An empty CUDA_VISIBLE_DEVICES asks for none.
int64_t usable_gpus(const GpuDriver& driver);

/// As above for this machine. Where there are GPUs, loads the CUDA half of libtorch, once: programs are not linked with
/// it, since it costs every start time and 350 MB. Throws Error if it cannot be loaded.
int64_t num_gpus();

/// Loads the CUDA half of libtorch whether or not there is a GPU. Throws Error if it is missing or this program was
/// built without CUDA.
void load_cuda_half();

/// Makes a GPU the one that this process allocates and launches on unless told otherwise. Nothing to do for a CPU.
void use_device(const at::Device& device);

}  // namespace lriad

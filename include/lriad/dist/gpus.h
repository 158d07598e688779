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
  std::string problem;             ///< the driver's error text if it shows no GPU; empty if it shows one
};

/// Asks the driver, without loading CUDA's libraries.
GpuDriver ask_gpu_driver();

/// Number of GPUs that this program can compute on; 0 without a driver or with CUDA_VISIBLE_DEVICES empty or -1. Throws
/// Error if there is a driver but it shows no GPU, is too old for the CUDA of this libtorch, or this program was built
/// without CUDA.
int64_t usable_gpus(const GpuDriver& driver);

/// As above for this machine, asked once. If there are GPUs, loads the CUDA half of libtorch: programs are not linked
/// with it because it would cost every start time and 350 MB of memory. Throws Error if it cannot be loaded.
int64_t num_gpus();

/// Loads the CUDA half of libtorch whether or not there is a GPU. Throws Error if it is missing or this program was
/// built without CUDA.
void load_cuda_half();

/// Makes a GPU the current device of this process, as torch.cuda.set_device, and sets how its memory is used, which has
/// to come before the first allocation: at most `memory_fraction` of the card in segments that can grow, unless
/// PYTORCH_CUDA_ALLOC_CONF or PYTORCH_ALLOC_CONF says otherwise. Does nothing for the CPU.
void use_device(const at::Device& device, double memory_fraction);

/// Whether libtorch had too little memory, on the CPU or a GPU.
bool is_out_of_memory(const c10::Error& error);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "lriad/config/config.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

at::ScalarType scalar_type(Dtype dtype);

/// Makes the process compute with one thread for a model narrower than 256 unless OMP_NUM_THREADS is set: the products
/// of so narrow a model are too short to share, and threads would wait for each other longer than they work.
void limit_threads(const TextConfig& text);

/// The model of a Hugging Face folder on `device`, frozen and in evaluation mode. On the CPU, weights whose dtype on
/// disk is `dtype` are the mapped file itself; all others are converted one tensor at a time, so that the peak stays
/// near the model's size. Throws Error as read_model_config() and load_weights() do.
Qwen2Vl load_model(const std::filesystem::path& model_dir, at::ScalarType dtype, const at::Device& device);

/// Gives layers branches without effect (B is zero) where the config says; check_lora_targets() says whether PEFT can.
void add_lora(Qwen2Vl& model, const AdapterConfig& config, double dropout);

/// Gives the model the adapter's branches (dropout as given, not as in its file), values and whole modules. Throws
/// Error as check_adapter() does and naming tensors that are missing.
void add_adapter(Qwen2Vl& model, const Adapter& adapter, double dropout);

}  // namespace lriad

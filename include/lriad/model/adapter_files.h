#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lriad {

/// The fields of PEFT's adapter_config.json that are used.
struct AdapterConfig {
  int64_t r = 4;
  double lora_alpha = 16;
  double lora_dropout = 0.0;
  bool use_rslora = false;
  std::vector<std::string> target_modules = {"q_proj", "v_proj"};
  std::string base_model;  ///< base_model_name_or_path
  double scaling() const;  ///< alpha / r, or alpha / sqrt(r)
};

/// An adapter: float32 tensors by canonical name, `model.language_model.layers.0.self_attn.q_proj.lora_A.weight`.
struct Adapter {
  AdapterConfig config;
  std::map<std::string, at::Tensor> tensors;
};

/// Reads a PEFT folder in both key styles, float32 or half precision on disk, safetensors. Throws Error, naming file
/// and field, for DoRA, biases, modules_to_save, rank or alpha patterns, other PEFT types, unpaired or misshapen A/B,
/// or missing files.
Adapter read_adapter(const std::filesystem::path& adapter_dir);

/// Writes adapter_model.safetensors (new key style, float32) and adapter_config.json as PEFT 0.21 does into an existing
/// folder. Each file is written whole or not at all.
void write_adapter(const std::filesystem::path& adapter_dir, const Adapter& adapter);

/// W + (B A) s for every adapted module, as PEFT's merge_and_unload (float32 delta, added in float32, rounded once).
/// `weight` [out, in] any float dtype.
at::Tensor merge_lora(const at::Tensor& weight, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling);

}  // namespace lriad

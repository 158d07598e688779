#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "lriad/model/adapter_config.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// An adapter's tensors, float32, by the names of transformers >= 4.52.
struct Adapter {
  AdapterConfig config;
  std::map<std::string, at::Tensor> tensors = {};  ///< `model.language_model.layers.0.self_attn.q_proj.lora_A.weight`
  std::map<std::string, at::Tensor> saved = {};    ///< weights of modules_to_save, `lm_head.weight`
  /// Whether the linear layer at a path has an A and B of its own.
  bool has_branch(const std::string& module) const { return tensors.contains(module + ".lora_A.weight"); }
};

/// Reads a PEFT folder in both key styles, float32 or half precision on disk, safetensors. Throws Error, naming file
/// and field, as read_adapter_config() does, for unpaired or misshapen A and B, for tensors that the config does not
/// name or that are not finite, and for missing files.
Adapter read_adapter(const std::filesystem::path& adapter_dir);

/// Throws Error unless the model of this config has every module of the adapter, with the shapes that it expects. The
/// message says how the models differ.
void check_adapter(const Adapter& adapter, const ModelConfig& model);

/// Writes adapter_model.safetensors (new key style, float32) and adapter_config.json as PEFT 0.21 does into an existing
/// folder. Each file is written whole or not at all.
void write_adapter(const std::filesystem::path& adapter_dir, const Adapter& adapter);

/// W + (B A) s for every adapted module, as PEFT's merge_and_unload (float32 delta, added in float32, rounded once).
/// `weight` [out, in], or that of a convolution, any float dtype; A and B as branch_sizes() has them.
at::Tensor merge_lora(const at::Tensor& weight, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling);

}  // namespace lriad

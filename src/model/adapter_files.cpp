#include "lriad/model/adapter_files.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/layers.h"
#include "lriad/model/model_files.h"
#include "lriad/model/safetensors.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKeyPrefix = "base_model.model.";

constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";

bool is_branch(const std::string& name) { return name.ends_with(kA) || name.ends_with(kB); }

/// Throws Error unless every A has its B, of the rank that the config gives to their module.
void check_branches(const Adapter& adapter, const fs::path& path) {
  for (const auto& [name, tensor] : adapter.tensors) {
    const bool is_a = name.ends_with(kA);
    const std::string module = name.substr(0, name.size() - kA.size());
    if (!adapter.tensors.contains(concat(module, is_a ? kB : kA)))
      fail("model", path.string(), ": ", name, " has no partner");
    const auto shape = adapter.config.shape_of(module);
    if (!shape) {
      fail("model", path.string(), " holds ", name, ", but target_modules (", adapter.config.target_modules.text(),
           ") and the keys beside it in adapter_config.json do not name its module");
    }
    if (tensor.dim() < 2 || tensor.size(is_a ? 0 : 1) != shape->r)
      fail("model", path.string(), ": ", name, " is ", tensor.sizes(), ", expected rank ", shape->r);
  }
}

/// Throws Error if the file lacks a module whose weights the config says to be in it.
void check_saved(const Adapter& adapter, const fs::path& path) {
  for (const std::string& name : adapter.config.modules_to_save) {
    const ModuleNames module{{name}, ""};
    const bool found = std::ranges::any_of(
        adapter.saved, [&](const auto& one) { return contains(module, one.first.substr(0, one.first.rfind('.'))); });
    if (!found) fail("model", path.string(), " has no weights of ", name, ", which modules_to_save names");
  }
}

std::string trained_on(const AdapterConfig& config) {
  return config.base_model.empty() ? "; give the model that it was trained on"
                                   : concat("; it was trained on ", config.base_model);
}

/// Layers and hidden size of a decoder; 0 where they cannot be told.
struct DecoderSize {
  int64_t layers = 0, width = 0;
};

DecoderSize decoder_size(const Adapter& adapter) {
  constexpr std::string_view kLayers = "model.language_model.layers.";
  DecoderSize size;
  for (const auto& [name, tensor] : adapter.tensors) {
    if (!name.starts_with(kLayers)) continue;
    size.layers = std::max<int64_t>(size.layers, std::atoll(name.c_str() + kLayers.size()) + 1);
    for (const char* reads_hidden : {".q_proj", ".k_proj", ".v_proj", ".gate_proj", ".up_proj"}) {
      if (name.ends_with(concat(reads_hidden, kA))) size.width = tensor.size(1);
    }
  }
  return size;
}

/// How the decoder that the adapter was made for differs from the model's; empty if it does not.
std::string different_decoders(const Adapter& adapter, const ModelConfig& model) {
  const DecoderSize size = decoder_size(adapter);
  const bool other_width = size.width != 0 && size.width != model.text.hidden_size;
  const bool all_layers = adapter.config.layers_to_transform.empty();
  const bool other_layers = size.layers > model.text.num_hidden_layers ||
                            (all_layers && size.layers != 0 && size.layers != model.text.num_hidden_layers);
  if (!other_width && !other_layers) return "";
  return concat("the model (", model.model_type, ") has ", model.text.num_hidden_layers, " layers of hidden size ",
                model.text.hidden_size, ", the adapter is for ", size.layers,
                size.width == 0 ? " layers" : concat(" of hidden size ", size.width), "; ");
}

/// Throws Error if a linear layer of the decoder that the config names has no tensors. PEFT gives it a branch without
/// effect; such an adapter is damaged, or of another model.
void check_all_targets(const Adapter& adapter, const ModelConfig& model,
                       const std::map<std::string, std::vector<int64_t>>& shapes) {
  constexpr std::string_view kLayers = "model.language_model.layers.", kWeight = ".weight";
  for (const auto& [name, shape] : shapes) {
    if (!name.starts_with(kLayers) || !name.ends_with(kWeight) || shape.size() != 2) continue;
    const std::string module = name.substr(0, name.size() - kWeight.size());
    if (adapter.has_branch(module) || !adapter.config.shape_of(module)) continue;
    const std::string difference = different_decoders(adapter, model);
    fail("model", difference.empty() ? "the adapter" : concat("the adapter does not fit the model: ", difference, "it"),
         " has no tensors for ", module, ", though its target_modules (", adapter.config.target_modules.text(),
         ") name it", difference.empty() ? "; was the file cut?" : trained_on(adapter.config));
  }
}

}  // namespace

Adapter read_adapter(const fs::path& adapter_dir) {
  Adapter adapter;
  adapter.config = read_adapter_config(adapter_dir / "adapter_config.json");
  const SafetensorsFile file(adapter_dir / "adapter_model.safetensors");
  for (const TensorEntry& entry : file.entries()) {
    if (!entry.name.starts_with(kKeyPrefix)) {
      fail("model", file.path().string(), ": tensor ", entry.name, " does not begin with ", kKeyPrefix,
           ", expected the file that PEFT's save_pretrained writes");
    }
    const at::Tensor tensor = file.tensor(entry.name);
    if (!tensor.is_floating_point()) fail("model", file.path().string(), ": ", entry.name, " is not of a float type");
    require_finite(tensor, file.path(), entry.name);
    const std::string name = canonical_name(entry.name.substr(std::string_view(kKeyPrefix).size()));
    const bool branch = is_branch(name);
    if (!branch && !adapter.config.saves(name.substr(0, name.rfind('.')))) {
      fail("model", file.path().string(), ": ", name, " is neither LoRA's A or B nor of one of modules_to_save");
    }
    (branch ? adapter.tensors : adapter.saved)[name] = tensor.to(at::kFloat).clone();
  }
  if (adapter.tensors.empty() && adapter.saved.empty()) fail("model", file.path().string(), " holds no tensors");
  check_branches(adapter, file.path());
  check_saved(adapter, file.path());
  return adapter;
}

void check_adapter(const Adapter& adapter, const ModelConfig& model) {
  const auto shapes = expected_tensors(model);
  const auto refuse = [&](const std::string& name, const at::Tensor& tensor, const std::string& why) {
    fail("model", "the adapter does not fit the model: ", different_decoders(adapter, model), "its ", name, " is ",
         tensor.sizes(), ", ", why, trained_on(adapter.config));
  };
  for (const auto& [name, tensor] : adapter.tensors) {
    const bool is_a = name.ends_with(kA);
    const auto weight = shapes.find(name.substr(0, name.size() - kA.size()) + ".weight");
    if (weight == shapes.end() || weight->second.size() < 2) refuse(name, tensor, "which the model has no module for");
    const BranchSizes sizes = branch_sizes(weight->second, tensor.size(is_a ? 0 : 1));
    const at::IntArrayRef expected = is_a ? sizes.a : sizes.b;
    if (tensor.sizes() != expected) refuse(name, tensor, concat("and the module needs ", expected));
  }
  for (const auto& [name, tensor] : adapter.saved) {
    const auto weight = shapes.find(name);
    if (weight == shapes.end()) {
      const bool tied = name == "lm_head.weight" && model.tie_word_embeddings;
      refuse(name, tensor,
             tied ? "a head of its own, where the model's is its embedding" : "which the model does not have");
    }
    if (tensor.sizes() != at::IntArrayRef(weight->second))
      refuse(name, tensor, concat("the model's ", at::IntArrayRef(weight->second)));
  }
  check_all_targets(adapter, model, shapes);
}

void write_adapter(const fs::path& adapter_dir, const Adapter& adapter) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto* part : {&adapter.tensors, &adapter.saved}) {
    for (const auto& [name, tensor] : *part) tensors[kKeyPrefix + name] = tensor.detach().to(at::kFloat);
  }
  write_safetensors(adapter_dir / "adapter_model.safetensors", tensors);
  write_file_atomic("model", adapter_dir / "adapter_config.json", adapter_config_text(adapter.config));
}

at::Tensor merge_lora(const at::Tensor& weight, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling) {
  const at::Tensor delta = (at::matmul(lora_b.flatten(1), lora_a.flatten(1)) * scaling).view_as(weight);
  return (weight.to(delta.scalar_type()) + delta).to(weight.scalar_type());
}

}  // namespace lriad

#include "lriad/model/adapter_files.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/model_files.h"
#include "lriad/model/safetensors.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kKeyPrefix = "base_model.model.";

/// Fields of adapter_config.json that change the mathematics in ways not computed here.
void refuse_variants(const json& config, const fs::path& path) {
  const auto refuse = [&](const char* key, const char* wanted) {
    fail("model", path.string(), ": ", key, " is ", config[key].dump(), ", expected ", wanted);
  };
  if (config.value("peft_type", json()) != "LORA") fail("model", path.string(), ": peft_type must be \"LORA\"");
  for (const char* key : {"use_dora", "lora_bias", "fan_in_fan_out", "use_qalora"}) {
    if (config.contains(key) && config[key] == true) refuse(key, "false");
  }
  if (config.contains("bias") && config["bias"] != "none") refuse("bias", "\"none\"");
  for (const char* key :
       {"modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform", "target_parameters"}) {
    if (config.contains(key) && !config[key].is_null() && !config[key].empty()) refuse(key, "nothing");
  }
}

AdapterConfig read_config(const fs::path& path) {
  const json config = read_json_object("model", path);
  refuse_variants(config, path);
  AdapterConfig result;
  const json r = config.value("r", json()), alpha = config.value("lora_alpha", json());
  if (!r.is_number_unsigned() || r < 1 || r > 65536)
    fail("model", path.string(), ": r is ", r.dump(), ", expected a whole number from 1");
  if (!alpha.is_number()) fail("model", path.string(), ": lora_alpha is ", alpha.dump(), ", expected a number");
  result.r = r.get<int64_t>();
  result.lora_alpha = alpha.get<double>();
  const json dropout = config.value("lora_dropout", json(0.0));
  if (!dropout.is_number() || dropout < 0 || dropout >= 1)
    fail("model", path.string(), ": lora_dropout is ", dropout.dump(), ", expected [0, 1)");
  result.lora_dropout = dropout.get<double>();
  result.use_rslora = config.value("use_rslora", json(false)) == true;
  const json targets = config.value("target_modules", json());
  bool good = targets.is_array() && !targets.empty();
  for (const json& name : targets) good = good && name.is_string();
  if (!good) fail("model", path.string(), ": target_modules is ", targets.dump(), ", expected a list of names");
  result.target_modules = targets.get<std::vector<std::string>>();
  const json base = config.value("base_model_name_or_path", json());
  if (base.is_string()) result.base_model = base.get<std::string>();
  return result;
}

void check_pairs(const Adapter& adapter, const fs::path& path) {
  for (const auto& [name, tensor] : adapter.tensors) {
    const bool is_a = name.ends_with(".lora_A.weight");
    if (!is_a && !name.ends_with(".lora_B.weight")) fail("model", path.string(), ": ", name, " is no LoRA tensor");
    const std::string module = name.substr(0, name.size() - std::string(".lora_A.weight").size());
    const auto other = adapter.tensors.find(module + (is_a ? ".lora_B.weight" : ".lora_A.weight"));
    if (other == adapter.tensors.end()) fail("model", path.string(), ": ", name, " has no partner");
    if (tensor.dim() != 2 || tensor.size(is_a ? 0 : 1) != adapter.config.r) {
      fail("model", path.string(), ": ", name, " is ", tensor.sizes(), ", expected rank ", adapter.config.r);
    }
  }
}

}  // namespace

double AdapterConfig::scaling() const {
  const auto rank = static_cast<double>(r);
  return use_rslora ? lora_alpha / std::sqrt(rank) : lora_alpha / rank;
}

Adapter read_adapter(const fs::path& adapter_dir) {
  Adapter adapter;
  adapter.config = read_config(adapter_dir / "adapter_config.json");
  const SafetensorsFile file(adapter_dir / "adapter_model.safetensors");
  for (const TensorEntry& entry : file.entries()) {
    if (!entry.name.starts_with(kKeyPrefix)) {
      fail("model", file.path().string(), ": tensor ", entry.name, " does not begin with ", kKeyPrefix);
    }
    const at::Tensor tensor = file.tensor(entry.name);
    if (!tensor.is_floating_point()) fail("model", file.path().string(), ": ", entry.name, " is not of a float type");
    adapter.tensors[canonical_name(entry.name.substr(std::string(kKeyPrefix).size()))] = tensor.to(at::kFloat).clone();
  }
  if (adapter.tensors.empty()) fail("model", file.path().string(), " holds no tensors");
  check_pairs(adapter, file.path());
  return adapter;
}

void write_adapter(const fs::path& adapter_dir, const Adapter& adapter) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : adapter.tensors) tensors[kKeyPrefix + name] = tensor.detach().to(at::kFloat);
  const AdapterConfig& c = adapter.config;
  const json config = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"r", c.r},
                       {"lora_alpha", c.lora_alpha},
                       {"lora_dropout", c.lora_dropout},
                       {"use_rslora", c.use_rslora},
                       {"target_modules", c.target_modules},
                       {"base_model_name_or_path", c.base_model},
                       {"bias", "none"},
                       {"use_dora", false},
                       {"fan_in_fan_out", false},
                       {"lora_bias", false},
                       {"modules_to_save", nullptr},
                       {"inference_mode", true},
                       {"init_lora_weights", true},
                       {"rank_pattern", json::object()},
                       {"alpha_pattern", json::object()},
                       {"revision", nullptr},
                       {"auto_mapping", nullptr}};
  write_safetensors(adapter_dir / "adapter_model.safetensors", tensors);
  write_file_atomic("model", adapter_dir / "adapter_config.json", config.dump(2) + "\n");
}

at::Tensor merge_lora(const at::Tensor& weight, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling) {
  const at::Tensor delta = at::matmul(lora_b, lora_a) * scaling;
  return (weight.to(delta.scalar_type()) + delta).to(weight.scalar_type());
}

}  // namespace lriad

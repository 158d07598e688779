#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/module_names.h"

namespace lriad {

/// Whether the names, or the expression, are of the module at a path. Throws Error if the expression cannot be read.
bool contains(const ModuleNames& names, const std::string& module);

/// Rank and scale of the branch that an adapter gives to one layer: W x + scaling B A x.
struct LoraShape {
  int64_t r = 0;
  double scaling = 0;
};

/// What PEFT's adapter_config.json says of a LoRA adapter. Source: peft/tuners/lora/config.py (0.21), whose names and
/// defaults the fields have.
struct AdapterConfig {
  int64_t r = 4;
  double lora_alpha = 16;
  double lora_dropout = 0.0;  ///< probability
  bool use_rslora = false;    ///< scale alpha / sqrt(r) instead of alpha / r
  ModuleNames target_modules = {{"q_proj", "v_proj"}, ""};
  ModuleNames exclude_modules;
  std::vector<int64_t> layers_to_transform;  ///< indices of layers; empty: all
  std::vector<std::string> layers_pattern;   ///< names of the lists that the indices count in; empty: any
  std::vector<std::pair<std::string, int64_t>>
      rank_pattern;  ///< expression for the end of a path, its r; the first acts
  std::vector<std::pair<std::string, double>> alpha_pattern;  ///< likewise lora_alpha
  std::vector<std::string> modules_to_save;  ///< whole modules of which the adapter has its own weights
  std::string base_model;                    ///< base_model_name_or_path

  /// The branch of the layer at a path such as `model.language_model.layers.0.self_attn.q_proj`, which the
  /// config may also name as transformers before 4.52 did; none if it is no target. Source:
  /// peft/tuners/tuners_utils.py, check_target_module_exists, and peft/utils/other.py, get_pattern_key.
  std::optional<LoraShape> shape_of(const std::string& module) const;
  /// Whether the adapter replaces the weights of the module at this path.
  bool saves(const std::string& module) const;

 private:
  bool is_target(const std::string& module) const;
};

/// Reads adapter_config.json. Throws Error, naming file and key, for a value that is malformed, for whatever changes
/// the computation or the base model in a way that is not computed here, and for unknown keys that are not empty, null
/// or false.
AdapterConfig read_adapter_config(const std::filesystem::path& path);

/// As above for the text that adapter_config.json holds; `where` names it in errors.
AdapterConfig parse_adapter_config(const std::string& text, const std::string& where);

/// The text of the adapter_config.json that PEFT 0.21 would write.
std::string adapter_config_text(const AdapterConfig& config);

}  // namespace lriad

#pragma once

#include <set>
#include <string>

#include "lriad/model/adapter_config.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// Paths of all modules of transformers' model of this config.
std::set<std::string> module_paths(const ModelConfig& config);

/// Throws Error unless PEFT would give the config's targets branches that are computed here: each name is that of a
/// layer, and what the names or the expression fit are linear layers or the convolution of the patches, at least one.
void check_lora_targets(const AdapterConfig& config, const ModelConfig& model);

}  // namespace lriad

#include "lriad/model/lora_targets.h"

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/model/model_files.h"

namespace lriad {

std::set<std::string> module_paths(const ModelConfig& config) {
  std::set<std::string> paths = {"lm_head", "model.language_model.rotary_emb", "model.visual.rotary_pos_emb"};
  for (const auto& [name, shape] : expected_tensors(config)) {
    for (std::size_t dot = name.rfind('.'); dot != std::string::npos && dot != 0; dot = name.rfind('.', dot - 1))
      paths.insert(name.substr(0, dot));
  }
  // Activations have no tensors.
  std::set<std::string> activations;
  for (const std::string& path : paths) {
    if (paths.contains(path + ".down_proj") || paths.contains(path + ".linear_fc1"))
      activations.insert(path + ".act_fn");
    if (paths.contains(path + ".fc1")) activations.insert(path + ".act");
    if (paths.contains(path + ".mlp.0")) activations.insert(path + ".mlp.1");
  }
  paths.merge(activations);
  return paths;
}

void check_lora_targets(const AdapterConfig& config, const ModelConfig& model) {
  const auto layers = lora_layers(model);
  for (const std::string& name : config.target_modules.names) {
    if (std::ranges::any_of(layers, [&](const auto& layer) { return contains({{name}, ""}, layer.first); })) continue;
    fail("model", "lora.target_modules has ", name,
         ", which names no layer that can have a branch here, expected such as q_proj or qkv");
  }
  const bool all_linear = config.target_modules.names.empty() && is_all_linear(config.target_modules.expression);
  int64_t branches = 0;
  for (const std::string& path : module_paths(model)) {
    if (!config.shape_of(path)) continue;
    branches += layers.contains(path);
    if (layers.contains(path) || all_linear) continue;
    fail("model", "lora.target_modules (", config.target_modules.text(), ") fits ", path,
         ", which can have no branch here, expected what fits linear layers only");
  }
  if (branches > 0) return;
  const std::string exclude = config.exclude_modules.text();
  fail("model", "lora.target_modules (", config.target_modules.text(), ") ",
       exclude.empty() ? "" : concat("without lora.exclude_modules (", exclude, ") "), "fits no layer",
       config.target_modules.names.empty() && !all_linear
           ? "; as a text it is a regular expression for whole paths, such as "
             "model.language_model.layers.0.self_attn.q_proj; names stand in a list"
           : "");
}

}  // namespace lriad

#include "lriad/model/adapter_config.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/text/python_regex.h"

namespace lriad {
namespace {

using json = nlohmann::ordered_json;  // PEFT takes the first pattern of a file that fits

constexpr int64_t kMaxRank = 65536;

/// Keys of which any value leaves the computation as it is: where the adapter comes from, how it was trained or
/// initialised, and sizes that act only with a switch that is refused.
const std::set<std::string> kInert = {"auto_mapping",  "base_model_name_or_path",
                                      "revision",      "inference_mode",
                                      "task_type",     "peft_version",
                                      "eva_config",    "loftq_config",
                                      "megatron_core", "qalora_group_size",
                                      "corda_config",  "lora_ga_config",
                                      "lora_dtype",    "lorap_lr_ratio",
                                      "lorap_emb_lr"};
const std::set<std::string> kRead = {"peft_type",         "r",
                                     "lora_alpha",        "lora_dropout",
                                     "use_rslora",        "target_modules",
                                     "exclude_modules",   "layers_to_transform",
                                     "layers_pattern",    "rank_pattern",
                                     "alpha_pattern",     "modules_to_save",
                                     "init_lora_weights", "bias"};

bool says_nothing(const json& value) {
  return value.is_null() || value == false || (!value.is_primitive() && value.empty()) || value == "";
}

/// Options of another part of PEFT, all off, say nothing either: {"ephemeral_gpu_offload": false}.
bool asks_for_nothing(const json& value) {
  return says_nothing(value) || (value.is_object() && std::ranges::all_of(value, asks_for_nothing));
}

[[noreturn]] void refuse(const std::string& where, const std::string& key, const json& value,
                         const std::string& wanted) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  fail("model", where, ": ", key, " is ", text, ", expected ", wanted);
}

void refuse_unknown(const json& object, const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (kRead.contains(key) || kInert.contains(key) || asks_for_nothing(value)) continue;
    refuse(where, key, value, "nothing: what it asks for is not computed here");
  }
  if (object.value("peft_type", json()) != "LORA")
    refuse(where, "peft_type", object.value("peft_type", json()), "LORA");
  if (object.value("bias", json("none")) != "none") refuse(where, "bias", object["bias"], "none");
  const json init = object.value("init_lora_weights", json(true));
  // PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base model, of which the adapter holds the rest only.
  static const std::set<json> kOnlyBranches = {true, false, nullptr, "gaussian", "eva", "orthogonal"};
  if (!kOnlyBranches.contains(init)) {
    refuse(where, "init_lora_weights", init,
           "an initialisation that leaves the base model as it is; convert the adapter by PEFT's save_pretrained with "
           "path_initial_model_for_weight_conversion");
  }
}

/// The values of a list, or a single one; empty if the key says nothing.
template <class Value>
std::vector<Value> list_of(const json& object, const char* key, const std::string& where, const char* wanted) {
  const json value = object.value(key, json());
  if (says_nothing(value)) return {};
  try {
    if (!value.is_array()) return {value.get<Value>()};
    return value.get<std::vector<Value>>();
  } catch (const json::exception&) {
    refuse(where, key, value, wanted);
  }
}

ModuleNames module_names(const json& object, const char* key, const std::string& where) {
  const json value = object.value(key, json());
  if (value.is_string() && !says_nothing(value)) return {{}, value.get<std::string>()};
  return {list_of<std::string>(object, key, where, "a list of names, or a regular expression"), ""};
}

template <class Value>
std::vector<std::pair<std::string, Value>> pattern_of(const json& object, const char* key, const std::string& where) {
  const json value = object.value(key, json());
  if (says_nothing(value)) return {};
  std::vector<std::pair<std::string, Value>> pattern;
  if (!value.is_object()) refuse(where, key, value, "an object of expressions with numbers");
  for (const auto& [expression, number] : value.items()) {
    if (!number.is_number()) refuse(where, concat(key, '.', expression), number, "a number");
    pattern.emplace_back(expression, number.template get<Value>());
  }
  return pattern;
}

/// The pattern as the object that it was read from.
template <class Value>
json object_of(const std::vector<std::pair<std::string, Value>>& pattern) {
  json object = json::object();
  for (const auto& [expression, value] : pattern) object[expression] = value;
  return object;
}

int64_t rank_in(const json& value, const std::string& where, const std::string& key) {
  if (!value.is_number_integer() || value < 1 || value > kMaxRank) {
    refuse(where, key, value, concat("a whole number from 1 to ", kMaxRank));
  }
  return value.get<int64_t>();
}

/// The first index in a path that has something below it, 3 in `model.layers.3.mlp.up_proj`; where patterns are given,
/// of a list that one of them names.
std::optional<int64_t> layer_of(const std::string& module, const std::vector<std::string>& patterns) {
  std::vector<std::string> parts;
  std::istringstream text(module);
  for (std::string part; std::getline(text, part, '.');) parts.push_back(part);
  for (std::size_t i = patterns.empty() ? 2 : 1; i + 1 < parts.size(); ++i) {
    const bool is_index = parts[i].size() < 9 && std::ranges::all_of(parts[i], ::isdigit);
    const auto fits = [&](const std::string& pattern) { return full_match(pattern, parts[i - 1]); };
    if (is_index && (patterns.empty() || std::ranges::any_of(patterns, fits))) return std::stoll(parts[i]);
  }
  return std::nullopt;
}

/// The value of the first expression that fits the end of the path, else `standard`.
template <class Value>
Value by_pattern(const std::vector<std::pair<std::string, Value>>& pattern, const std::string& module, Value standard) {
  for (const auto& [expression, value] : pattern) {
    if (full_match(concat("(.*\\.)?(", expression, ")"), module)) return value;
  }
  return standard;
}

/// The path of a module as transformers before 4.52 named it.
std::string older_name(const std::string& module) {
  constexpr std::string_view kDecoder = "model.language_model.", kTower = "model.visual.";
  if (module.starts_with(kDecoder)) return "model." + module.substr(kDecoder.size());
  return module.starts_with(kTower) ? module.substr(std::string_view("model.").size()) : module;
}

json json_of(const ModuleNames& names) {
  if (names.empty()) return nullptr;
  return names.names.empty() ? json(names.expression) : json(names.names);
}

AdapterConfig config_from(const json& object, const std::string& where) {
  refuse_unknown(object, where);
  AdapterConfig result;
  result.r = rank_in(object.value("r", json()), where, "r");
  const json alpha = object.value("lora_alpha", json()), dropout = object.value("lora_dropout", json(0.0));
  if (!alpha.is_number()) refuse(where, "lora_alpha", alpha, "a number");
  if (!dropout.is_number() || dropout < 0 || dropout >= 1) refuse(where, "lora_dropout", dropout, "a number in [0, 1)");
  result.lora_alpha = alpha.get<double>();
  result.lora_dropout = dropout.get<double>();
  result.use_rslora = object.value("use_rslora", json(false)) == true;
  result.target_modules = module_names(object, "target_modules", where);
  if (result.target_modules.empty()) {
    refuse(where, "target_modules", object.value("target_modules", json()), "a list of names, or a regular expression");
  }
  result.exclude_modules = module_names(object, "exclude_modules", where);
  result.layers_to_transform = list_of<int64_t>(object, "layers_to_transform", where, "indices of layers");
  result.layers_pattern = list_of<std::string>(object, "layers_pattern", where, "names of lists of layers");
  if (!result.target_modules.expression.empty() && !result.layers_to_transform.empty()) {
    refuse(where, "layers_to_transform", object["layers_to_transform"],
           "nothing beside a regular expression in target_modules, as PEFT does");
  }
  result.rank_pattern = pattern_of<int64_t>(object, "rank_pattern", where);
  for (const auto& [pattern, rank] : result.rank_pattern) rank_in(rank, where, "rank_pattern." + pattern);
  result.alpha_pattern = pattern_of<double>(object, "alpha_pattern", where);
  result.modules_to_save = list_of<std::string>(object, "modules_to_save", where, "a list of names");
  const json base = object.value("base_model_name_or_path", json());
  if (base.is_string()) result.base_model = base.get<std::string>();
  return result;
}

}  // namespace

bool contains(const ModuleNames& names, const std::string& module) {
  if (names.names.empty()) return !names.expression.empty() && full_match(names.expression, module);
  return std::ranges::any_of(names.names,
                             [&](const std::string& name) { return module == name || module.ends_with("." + name); });
}

bool AdapterConfig::is_target(const std::string& module) const {
  if (contains(exclude_modules, module)) return false;
  for (const std::string& saved : modules_to_save) {
    if (full_match(concat("(.*\\.)?", saved, "(\\..*)?"), module)) return false;
  }
  if (target_modules.names.empty() && is_all_linear(target_modules.expression))
    return module != "lm_head" && !module.ends_with("patch_embed.proj");  // the latter is a convolution
  if (!contains(target_modules, module)) return false;
  if (layers_to_transform.empty() || std::ranges::find(target_modules.names, module) != target_modules.names.end())
    return true;
  const auto layer = layer_of(module, layers_pattern);
  return layer && std::ranges::find(layers_to_transform, *layer) != layers_to_transform.end();
}

std::optional<LoraShape> AdapterConfig::shape_of(const std::string& module) const {
  for (const std::string& name : {module, older_name(module)}) {
    if (!is_target(name)) continue;
    const int64_t rank = by_pattern(rank_pattern, name, r);
    const double alpha = by_pattern(alpha_pattern, name, lora_alpha), size = static_cast<double>(rank);
    return LoraShape{rank, alpha / (use_rslora ? std::sqrt(size) : size)};
  }
  return std::nullopt;
}

bool AdapterConfig::saves(const std::string& module) const {
  return !modules_to_save.empty() && contains({modules_to_save, ""}, module);
}

AdapterConfig read_adapter_config(const std::filesystem::path& path) {
  return config_from(read_json_object<json>("model", path), path.string());
}

AdapterConfig parse_adapter_config(const std::string& text, const std::string& where) {
  std::string problem;
  const json object = parse_json_object<json>(text, problem);
  if (!object.is_object()) fail("model", where, " ", problem);
  return config_from(object, where);
}

std::string adapter_config_text(const AdapterConfig& c) {
  const auto list = [](const auto& values) { return values.empty() ? json(nullptr) : json(values); };
  const json object = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"r", c.r},
                       {"lora_alpha", c.lora_alpha},
                       {"lora_dropout", c.lora_dropout},
                       {"use_rslora", c.use_rslora},
                       {"target_modules", json_of(c.target_modules)},
                       {"exclude_modules", json_of(c.exclude_modules)},
                       {"layers_to_transform", list(c.layers_to_transform)},
                       {"layers_pattern", list(c.layers_pattern)},
                       {"rank_pattern", object_of(c.rank_pattern)},
                       {"alpha_pattern", object_of(c.alpha_pattern)},
                       {"modules_to_save", list(c.modules_to_save)},
                       {"base_model_name_or_path", c.base_model},
                       {"bias", "none"},
                       {"use_dora", false},
                       {"fan_in_fan_out", false},
                       {"lora_bias", false},
                       {"inference_mode", true},
                       {"init_lora_weights", true},
                       {"revision", nullptr},
                       {"auto_mapping", nullptr}};
  return object.dump(2) + "\n";
}

}  // namespace lriad

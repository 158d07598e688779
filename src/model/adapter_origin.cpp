#include "lriad/model/adapter_origin.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/model/model_family.h"
#include "lriad/model/model_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<std::string> merged_adapters(const fs::path& model_dir) {
  const fs::path path = model_dir / kMergedAdaptersFile;
  if (!fs::exists(path)) return {};
  const Json root = read_json_object<Json>("model", path);
  try {
    std::vector<std::string> hashes;
    for (const Json& adapter : root.at("adapters").get_ref<const Json::array_t&>())
      hashes.push_back(adapter.at("sha256").get<std::string>());
    return hashes;
  } catch (const nlohmann::json::exception&) {
    fail("model", path.string(), " is not as lriad-tool merge writes it; merge the adapter again");
  }
}

/// The class of the model as PEFT noted it; empty if it did not.
std::string base_class(const fs::path& adapter_dir) {
  const Json config = read_json_object<Json>("model", adapter_dir / "adapter_config.json");
  const Json mapping = config.value("auto_mapping", Json());
  const Json name = mapping.is_object() ? mapping.value("base_model_class", Json()) : Json();
  return name.is_string() ? name.get<std::string>() : "";
}

/// Letters and digits alone, small.
std::string plain(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) result += static_cast<char>(std::tolower(c));
  }
  return result;
}

}  // namespace

std::string adapter_hash(const Adapter& adapter) {
  std::string text;
  for (const auto* part : {&adapter.tensors, &adapter.saved}) {
    for (const auto& [name, tensor] : *part) {
      const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
      const auto shape = adapter.config.shape_of(name.substr(0, name.find(".lora_")));
      text += concat(name, ' ', shape ? shape->scaling : 1, ' ', values.sizes(), ' ',
                     sha256_hex({static_cast<const char*>(values.data_ptr()), values.nbytes()}), '\n');
    }
  }
  return sha256_hex(text);
}

void note_merged(const fs::path& merged_dir, const fs::path& adapter_dir, const Adapter& adapter) {
  const fs::path path = merged_dir / kMergedAdaptersFile;
  Json note = {{"adapters", Json::array()}};
  if (fs::exists(path)) note = read_json_object<Json>("model", path);
  note["adapters"].push_back({{"sha256", adapter_hash(adapter)},
                              {"name", model_name(adapter_dir)},
                              {"base_model", adapter.config.base_model}});
  write_file_atomic("model", path, note.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void check_origin(const Adapter& adapter, const fs::path& adapter_dir, const fs::path& model_dir) {
  const std::vector<std::string> merged = merged_adapters(model_dir);
  if (!merged.empty() && std::ranges::count(merged, adapter_hash(adapter)) > 0) {
    fail("model", "the adapter was merged into this model before (", (model_dir / kMergedAdaptersFile).string(),
         "); use the model without it, or the model that the adapter was trained on");
  }
  const std::string model_type = read_model_config(model_dir).model_type, of = base_class(adapter_dir),
                    name = adapter.config.base_model, base = name.empty() ? "" : plain(model_name(name));
  for (const ModelFamily& family : model_families()) {
    if (family.model_type == model_type) continue;
    if (of == family.architecture) {
      fail("model", adapter_dir.string(), " is an adapter of a ", family.model_type,
           " (auto_mapping.base_model_class is ", of, "), but the model is a ", model_type);
    }
    if (base.find(plain(family.model_type)) == std::string::npos) continue;
    log_warning(concat("[model] the adapter was trained on ", name, ", which seems to be a ", family.model_type,
                       ", but the model is a ", model_type));
  }
}

}  // namespace lriad

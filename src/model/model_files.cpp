#include "lriad/model/model_files.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/qwen2_vl.h"
#include "module_tree.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Shapes = std::map<std::string, std::vector<int64_t>>;

/// Throws Error if a tensor is what GPTQ, AWQ, bitsandbytes or 8-bit floats keep beside their integers.
void refuse_quantised(const ModelFiles& files, const fs::path& model_dir) {
  for (const std::string& name : files.names()) {
    for (const char* end : {".qweight", ".qzeros", ".g_idx", ".absmax", ".quant_map", ".SCB", ".weight_scale",
                            ".weight_scale_inv", ".weight_packed"}) {
      if (name.ends_with(end))
        fail("model", model_dir.string(), ": the weights are quantised (tensor ", name,
             "); take the unquantised model");
    }
  }
}

/// One line that names every missing and misshapen tensor and the first ten that are too many; empty if all fits.
std::string misfits(const ModelFiles& files, const ModelConfig& config) {
  const Shapes expected = expected_tensors(config);
  std::string text;
  for (const auto& [name, shape] : expected) {
    const TensorEntry* entry = files.find(name);
    if (entry == nullptr) {
      text += "; missing " + name;
    } else if (entry->shape != shape) {
      text += concat("; ", name, " is ", at::IntArrayRef(entry->shape), ", expected ", at::IntArrayRef(shape));
    }
  }
  int64_t surplus = 0;
  for (const std::string& name : files.names()) {
    const bool known = expected.contains(name) || (name == "lm_head.weight" && config.tie_word_embeddings);
    if (!known && ++surplus <= 10) text += "; not expected " + name;
  }
  if (surplus > 10) text += concat("; ", surplus - 10, " more not expected");
  return text;
}

}  // namespace

std::string canonical_name(const std::string& name) {
  if (name.starts_with("visual.")) return "model." + name;
  if (name.starts_with("model.") && !name.starts_with("model.language_model.") && !name.starts_with("model.visual.")) {
    return "model.language_model." + name.substr(6);
  }
  return name;
}

std::map<std::string, std::vector<int64_t>> expected_tensors(const ModelConfig& config) {
  const ShapesOnly shapes_only;
  Shapes shapes;
  for (const auto& item : Qwen2Vl(config)->named_parameters()) shapes[item.key()] = item.value().sizes().vec();
  return shapes;
}

std::map<std::string, std::vector<int64_t>> lora_layers(const ModelConfig& config) {
  const ShapesOnly shapes_only;
  return Qwen2Vl(config)->lora_layers();
}

void require_finite(const at::Tensor& tensor, const fs::path& file, const std::string& name) {
  if (tensor.numel() == 0) return;
  const auto [least, most] = at::aminmax(tensor);  // both are NaN if any value is; no copy of the tensor is made
  if (at::isfinite(least).item<bool>() && at::isfinite(most).item<bool>()) return;
  fail("model", file.string(), ": tensor ", name, " is not finite (it holds ",
       least.isnan().item<bool>() ? "NaN" : "infinite values",
       "); take an earlier checkpoint, or fetch the file again");
}

const char* dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    case at::kDouble:
      return "float64";
    default:
      return "float32";
  }
}

std::vector<std::string> weight_files(const fs::path& model_dir) {
  const fs::path index = model_dir / "model.safetensors.index.json";
  if (!fs::exists(index)) return {"model.safetensors"};
  const nlohmann::json root = read_json_object("model", index, 256 << 20);
  if (!root.contains("weight_map") || !root["weight_map"].is_object())
    fail("model", index.string(), " has no weight_map");
  std::map<std::string, bool> names;
  for (const auto& [tensor, file] : root["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      fail("model", index.string(), ": tensor ", tensor, " lies in ", file.dump(),
           ", expected the name of a file in this folder");
    }
    names[name] = true;
  }
  std::vector<std::string> result;
  for (const auto& [name, seen] : names) result.push_back(name);
  return result;
}

ModelFiles::ModelFiles(const fs::path& model_dir) {
  for (const std::string& name : weight_files(model_dir)) {
    files_.push_back(std::make_shared<SafetensorsFile>(model_dir / name));
    for (const TensorEntry& entry : files_.back()->entries()) {
      const bool added =
          stored_.emplace(canonical_name(entry.name), StoredTensor{files_.size() - 1, entry.name}).second;
      if (!added) fail("model", (model_dir / name).string(), ": tensor ", entry.name, " stands twice in the folder");
    }
  }
}

std::vector<std::string> ModelFiles::names() const {
  std::vector<std::string> result;
  for (const auto& [name, stored] : stored_) result.push_back(name);
  return result;
}

const TensorEntry* ModelFiles::find(const std::string& canonical) const {
  const auto found = stored_.find(canonical);
  return found == stored_.end() ? nullptr : files_[found->second.file]->find(found->second.stored_name);
}

at::Tensor ModelFiles::tensor(const std::string& canonical) const {
  const auto found = stored_.find(canonical);
  if (found == stored_.end()) fail("model", "the model folder has no tensor ", canonical);
  const SafetensorsFile& file = *files_[found->second.file];
  const at::Tensor tensor = file.tensor(found->second.stored_name);
  if (tensor.is_floating_point()) require_finite(tensor, file.path(), found->second.stored_name);
  return tensor;
}

std::string ModelFiles::stored_name(const std::string& canonical) const {
  const auto found = stored_.find(canonical);
  return found == stored_.end() ? canonical : found->second.stored_name;
}

void load_weights(const fs::path& model_dir, const ModelConfig& config, std::map<std::string, at::Tensor>& parameters,
                  at::ScalarType dtype, const at::Device& device) {
  const ModelFiles files(model_dir);
  refuse_quantised(files, model_dir);
  const std::string problems = misfits(files, config);
  if (!problems.empty())
    fail("model", model_dir.string(), " does not hold the model of its config.json: ", problems.substr(2));
  const at::NoGradGuard no_grad;
  for (auto& [name, parameter] : parameters) {
    const at::Tensor stored = files.tensor(name);
    if (!stored.is_floating_point()) fail("model", model_dir.string(), ": tensor ", name, " is not of a float type");
    parameter.set_data(stored.to(device, dtype));
  }
}

}  // namespace lriad

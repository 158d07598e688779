#include "lriad/model/write_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/adapter_origin.h"
#include "lriad/model/model_family.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr uint64_t kMaxShard = 4'000'000'000;
constexpr const char* kSideFiles[] = {"generation_config.json",
                                      "preprocessor_config.json",
                                      "video_preprocessor_config.json",
                                      "processor_config.json",
                                      "chat_template.json",
                                      "chat_template.jinja",
                                      "tokenizer.json",
                                      "tokenizer_config.json",
                                      "vocab.json",
                                      "merges.txt",
                                      "tokenizer.model",
                                      "special_tokens_map.json",
                                      "added_tokens.json",
                                      kMergedAdaptersFile,
                                      "LICENSE"};

using Shard = std::vector<TensorSpec>;

/// In order, each shard as full as it gets; a tensor beyond the limit is a shard of its own.
std::vector<Shard> shards_of(const std::vector<TensorSpec>& tensors) {
  std::vector<Shard> shards(1);
  uint64_t used = 0;
  for (const TensorSpec& spec : tensors) {
    if (used > 0 && used + spec.bytes() > kMaxShard) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(spec);
    used += spec.bytes();
  }
  return shards;
}

std::string shard_name(std::size_t number, std::size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

/// Sets the dtype wherever the file gives one; at the top, by the older name, if it gives none.
void set_dtype(ordered_json& config, at::ScalarType dtype) {
  const auto set_in = [&](ordered_json& object) {
    for (const char* key : {"dtype", "torch_dtype"}) {
      if (object.contains(key)) object[key] = dtype_name(dtype);
    }
  };
  if (!config.contains("dtype")) config["torch_dtype"] = "";
  set_in(config);
  for (const char* part : {"text_config", "vision_config"}) {
    if (config.contains(part) && config[part].is_object()) set_in(config[part]);
  }
}

/// The weights of a folder's model, with their canonical names by published name. Programs that convert models, such as
/// llama.cpp's, look for the published names and pass over the others.
struct SourceModel {
  explicit SourceModel(const fs::path& dir) : config(read_model_config(dir)), files(dir) {}
  std::vector<TensorSpec> specs(at::ScalarType dtype) {
    std::vector<TensorSpec> result;
    const ModelFamily& family = *find_model_family(config.model_type);
    for (const auto& [name, shape] : expected_tensors(config)) {
      const std::string published = published_name(name, family);
      canonical[published] = name;
      result.push_back({published, dtype, shape});
    }
    return result;
  }
  ModelConfig config;
  ModelFiles files;
  std::map<std::string, std::string> canonical;
};

}  // namespace

void write_weights(const fs::path& folder, const std::vector<TensorSpec>& tensors, const TensorMaker& make) {
  const auto shards = shards_of(tensors);
  if (shards.size() == 1) return write_safetensors(folder / "model.safetensors", tensors, make);
  ordered_json weight_map = ordered_json::object();
  uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i + 1, shards.size());
    write_safetensors(folder / name, shards[i], make);
    for (const TensorSpec& spec : shards[i]) {
      weight_map[spec.name] = name;
      total += spec.bytes();
    }
  }
  const ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  write_file_atomic("model", folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

void copy_side_files(const fs::path& source_dir, const fs::path& output_dir, at::ScalarType dtype) {
  for (const char* name : kSideFiles) {
    if (fs::exists(source_dir / name))
      write_file_atomic("model", output_dir / name, read_file("model", source_dir / name));
  }
  const fs::path path = source_dir / "config.json";
  ordered_json config = read_json_object<ordered_json>("model", path);
  set_dtype(config, dtype);
  write_file_atomic("model", output_dir / "config.json", config.dump(2) + "\n");
}

void merge_adapter(const fs::path& model_dir, const fs::path& adapter_dir, const fs::path& output_dir,
                   at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  SourceModel source(model_dir);
  const Adapter adapter = read_adapter(adapter_dir);
  check_origin(adapter, adapter_dir, model_dir);
  check_adapter(adapter, source.config);
  const std::vector<TensorSpec> specs = source.specs(dtype);
  make_folder("model", output_dir);
  write_weights(output_dir, specs, [&](const TensorSpec& spec) {
    const std::string& name = source.canonical.at(spec.name);
    const at::Tensor weight = source.files.tensor(name).to(dtype);
    if (const auto saved = adapter.saved.find(name); saved != adapter.saved.end()) return saved->second.to(dtype);
    const std::string module = name.substr(0, name.rfind('.'));
    const auto lora_a = adapter.tensors.find(module + ".lora_A.weight");
    if (!name.ends_with(".weight") || lora_a == adapter.tensors.end()) return weight;
    return merge_lora(weight, lora_a->second, adapter.tensors.at(module + ".lora_B.weight"),
                      adapter.config.shape_of(module)->scaling);
  });
  copy_side_files(model_dir, output_dir, dtype);
  note_merged(output_dir, adapter_dir, adapter);
}

void write_model_folder(const fs::path& source_dir, const fs::path& output_dir,
                        const std::map<std::string, at::Tensor>& tensors) {
  require(!tensors.empty(), "model", "there are no tensors to write");
  const at::ScalarType dtype = tensors.begin()->second.scalar_type();
  SourceModel source(source_dir);
  std::vector<TensorSpec> specs = source.specs(dtype);
  for (TensorSpec& spec : specs) {
    const auto tensor = tensors.find(source.canonical.at(spec.name));
    require(tensor != tensors.end(), "model", "the model to write has no ", spec.name);
    spec.dtype = tensor->second.scalar_type();
  }
  write_weights(output_dir, specs, [&](const TensorSpec& spec) { return tensors.at(source.canonical.at(spec.name)); });
  copy_side_files(source_dir, output_dir, dtype);
}

}  // namespace lriad

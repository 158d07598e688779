#include "lriad/health/refused_batch.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/json_null.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/safetensors.h"

// Shape letters: M completion tokens of a group, G its completions, D hidden size, V vocabulary.
namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kTextKey = "lriad_batch";
constexpr int64_t kVersion = 3;
constexpr int64_t kMostTokens = 1 << 24;  // per completion

template <class Value>
at::Tensor tensor_of(const std::vector<Value>& values) {
  return at::tensor(at::ArrayRef<Value>(values), c10::CppTypeToScalarType<Value>::value);
}

template <class Value>
std::vector<Value> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(c10::CppTypeToScalarType<Value>::value).contiguous();
  return {flat.data_ptr<Value>(), flat.data_ptr<Value>() + flat.numel()};
}

std::string prefix_of(std::size_t group) { return concat("groups.", group, '.'); }

/// Of a number that finite_or_null() wrote.
double number_from(const Json& json) { return json.is_null() ? NAN : json.get<double>(); }

using Tensors = std::map<std::string, at::Tensor>;

void add_tensors(Tensors& tensors, const std::string& prefix, const Group& group) {
  std::vector<int64_t> ids, lengths, grids;
  std::vector<double> rewards, advantages, weights;
  std::vector<at::Tensor> allowed;
  for (const GroupCompletion& completion : group.completions) {
    ids.insert(ids.end(), completion.ids.begin(), completion.ids.end());
    lengths.push_back(completion.length());
    rewards.push_back(completion.reward.total);
    advantages.push_back(completion.advantage);
    weights.push_back(completion.weight);
    if (completion.allowed_TV.defined()) allowed.push_back(completion.allowed_TV);
  }
  for (const Grid& grid : group.grids) grids.insert(grids.end(), grid.begin(), grid.end());
  tensors[prefix + "prompt_ids"] = tensor_of(group.prompt_ids);
  tensors[prefix + "grids"] = tensor_of(grids).view({-1, 3});
  tensors[prefix + "completion_ids"] = tensor_of(ids);
  tensors[prefix + "lengths"] = tensor_of(lengths);
  tensors[prefix + "rewards"] = tensor_of(rewards);
  tensors[prefix + "advantages"] = tensor_of(advantages);
  tensors[prefix + "weights"] = tensor_of(weights);
  const auto add = [&](const char* name, const at::Tensor& tensor) {
    if (tensor.defined()) tensors[prefix + name] = tensor.detach();
  };
  if (group.patches.empty()) {
    add("features", group.features_ID);
  } else {
    tensors[prefix + "patches"] = tensor_of(group.patches);
  }
  add("old", group.old_M);
  add("reference", group.reference_M);
  add("policy", group.policy_M);
  if (!allowed.empty()) add("allowed", at::cat(allowed));
}

Json group_json(const Group& group, std::size_t pass) {
  Json texts = Json::array();
  for (const GroupCompletion& completion : group.completions) texts.push_back(completion.text);
  return {{"prompt_index", group.prompt_index},
          {"pass", pass},
          {"sample_id", group.sample_id},
          {"texts", texts},
          {"dropout_seed", group.dropout_seed}};
}

Json batch_json(const RefusedBatch& batch) {
  return {{"version", kVersion},
          {"step", batch.step},
          {"rank", batch.rank},
          {"ranks", batch.num_ranks},
          {"reason", batch.reason},
          {"loss", finite_or_null(batch.health.loss)},
          {"grad_norm", finite_or_null(batch.health.grad_norm)},
          {"kl", finite_or_null(batch.health.kl)},
          {"finite_logprobs", batch.health.finite_logprobs},
          {"guard", batch.guard},
          {"config", batch.config},
          {"config_sha256", sha256_hex(batch.config)},
          {"last_saved", batch.last_saved},
          {"adapter", batch.adapter ? Json::parse(adapter_config_text(batch.adapter->config)) : Json(nullptr)}};
}

/// Reads tensors of a file as copies and checks their sizes.
class BatchTensors {
 public:
  explicit BatchTensors(const SafetensorsFile& file) : file_(file) {}

  at::Tensor optional(const std::string& name) const {
    return file_.find(name) == nullptr ? at::Tensor() : file_.tensor(name).clone();
  }
  at::Tensor required(const std::string& name) const {
    if (file_.find(name) == nullptr) fail("health", file_.path().string(), " lacks the tensor ", name);
    return file_.tensor(name).clone();
  }
  /// As required(); throws Error unless its first dimension has `count` entries.
  at::Tensor sized(const std::string& name, int64_t count) const { return check(name, required(name), count); }
  at::Tensor optional_sized(const std::string& name, int64_t count) const {
    const at::Tensor tensor = optional(name);
    return tensor.defined() ? check(name, tensor, count) : tensor;
  }

 private:
  at::Tensor check(const std::string& name, const at::Tensor& tensor, int64_t count) const {
    if (tensor.dim() > 0 && tensor.size(0) == count) return tensor;
    fail("health", file_.path().string(), ": ", name, " has the shape ", tensor.sizes(), ", expected ", count, " rows");
  }

  const SafetensorsFile& file_;
};

void read_completions(Group& group, const BatchTensors& tensors, const std::string& prefix) {
  const int64_t count = std::ssize(group.completions);
  const auto lengths = values_of<int64_t>(tensors.sized(prefix + "lengths", count));
  int64_t total = 0;
  for (const int64_t length : lengths) {
    if (length < 1 || length > kMostTokens)
      fail("health", prefix, "lengths: a completion has ", length, " tokens, expected 1 to ", kMostTokens);
    total += length;
  }
  const at::Tensor ids_M = tensors.sized(prefix + "completion_ids", total);
  const at::Tensor allowed_MV = tensors.optional_sized(prefix + "allowed", total);
  const auto rewards = values_of<double>(tensors.sized(prefix + "rewards", count));
  const auto advantages = values_of<double>(tensors.sized(prefix + "advantages", count));
  const auto weights = values_of<double>(tensors.sized(prefix + "weights", count));
  int64_t begin = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    GroupCompletion& completion = group.completions[i];
    const int64_t end = begin + lengths[i];
    completion.ids = values_of<int64_t>(ids_M.slice(0, begin, end));
    if (allowed_MV.defined()) completion.allowed_TV = allowed_MV.slice(0, begin, end);
    completion.reward.total = rewards[i];
    completion.advantage = advantages[i];
    completion.weight = weights[i];
    begin = end;
  }
  group.old_M = tensors.optional_sized(prefix + "old", total);
  group.reference_M = tensors.optional_sized(prefix + "reference", total);
  group.policy_M = tensors.optional_sized(prefix + "policy", total);
}

Group read_group(const Json& json, const BatchTensors& tensors, const std::string& prefix) {
  Group group;
  group.prompt_index = whole_number(json.at("prompt_index"));
  group.sample_id = json.at("sample_id").get<std::string>();
  for (const Json& text : json.at("texts")) group.completions.emplace_back().text = text.get<std::string>();
  group.dropout_seed = static_cast<uint64_t>(whole_number(json.at("dropout_seed")));
  group.prompt_ids = values_of<int64_t>(tensors.required(prefix + "prompt_ids"));
  group.features_ID = tensors.optional(prefix + "features");
  const at::Tensor patches = tensors.optional(prefix + "patches");
  if (patches.defined()) group.patches = values_of<float>(patches);
  const auto grids = values_of<int64_t>(tensors.required(prefix + "grids"));
  for (std::size_t k = 0; k + 2 < grids.size(); k += 3) group.grids.push_back({grids[k], grids[k + 1], grids[k + 2]});
  read_completions(group, tensors, prefix);
  return group;
}

Adapter read_weights(const Json& json, const SafetensorsFile& file) {
  Adapter adapter;
  adapter.config = parse_adapter_config(json.dump(), concat(file.path().string(), ", adapter"));
  constexpr std::string_view kPrefix = "adapter.";
  for (const TensorEntry& entry : file.entries()) {
    if (!entry.name.starts_with(kPrefix)) continue;
    adapter.tensors[entry.name.substr(kPrefix.size())] = file.tensor(entry.name).clone();
  }
  return adapter;
}

RefusedBatch batch_from(const Json& json, const SafetensorsFile& file) {
  const int64_t version = whole_number(json.at("version"));
  if (version != kVersion) {
    fail("health", file.path().string(), " has format version ", version, ", this program reads ", kVersion);
  }
  RefusedBatch batch;
  batch.step = whole_number(json.at("step"));
  batch.rank = whole_number(json.at("rank"));
  batch.num_ranks = whole_number(json.at("ranks"));
  batch.reason = json.at("reason").get<std::string>();
  batch.health = {number_from(json.at("loss")), number_from(json.at("grad_norm")), number_from(json.at("kl")),
                  json.at("finite_logprobs").get<bool>()};
  batch.guard = json.at("guard").get<std::string>();
  batch.config = json.at("config").get<std::string>();
  batch.last_saved = whole_number(json.at("last_saved"));
  if (!json.at("adapter").is_null()) batch.adapter = read_weights(json.at("adapter"), file);
  const BatchTensors tensors(file);
  int64_t pass = -1;
  std::size_t number = 0;
  for (const Json& group : json.at("groups")) {
    if (batch.passes.empty() || whole_number(group.at("pass")) != pass) batch.passes.emplace_back();
    pass = whole_number(group.at("pass"));
    batch.passes.back().push_back(read_group(group, tensors, prefix_of(number++)));
  }
  return batch;
}

}  // namespace

void write_refused_batch(const fs::path& file, const RefusedBatch& batch) {
  Json json = batch_json(batch);
  json["groups"] = Json::array();
  Tensors tensors;
  for (std::size_t pass = 0; pass < batch.passes.size(); ++pass) {
    for (const Group& group : batch.passes[pass]) {
      add_tensors(tensors, prefix_of(json["groups"].size()), group);
      json["groups"].push_back(group_json(group, pass));
    }
  }
  if (batch.adapter) {
    for (const auto& [name, tensor] : batch.adapter->tensors) tensors["adapter." + name] = tensor;
  }
  write_safetensors(file, tensors, {{kTextKey, json.dump(-1, ' ', false, Json::error_handler_t::replace)}});
}

RefusedBatch read_refused_batch(const fs::path& path) {
  const SafetensorsFile file(path);
  const auto text = file.metadata().find(kTextKey);
  if (text == file.metadata().end()) {
    fail("health", path.string(), " is no batch of a run (guard/step-<n>/rank-<r>.safetensors of a run folder)");
  }
  try {
    return batch_from(parse_json<Json>(text->second), file);
  } catch (const nlohmann::json::exception& error) {
    fail("health", path.string(), " cannot be read: ", error.what());
  }
}

}  // namespace lriad

#include "lriad/run/run_context.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>

#include "data_checks.h"
#include "lriad/config/load_config.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/core/random.h"
#include "lriad/core/version.h"
#include "lriad/model/adapter_origin.h"
#include "lriad/model/chat_tokens.h"
#include "lriad/model/image_features.h"
#include "lriad/model/load_model.h"
#include "lriad/model/lora_targets.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::string sorted_text(ModuleNames modules) {
  std::ranges::sort(modules.names);
  return modules.empty() ? "null" : modules.text();
}

/// The adapter that the section `lora` asks for.
AdapterConfig fresh_adapter(const Config& config, const ModelConfig& model) {
  AdapterConfig fresh;
  fresh.r = config.lora.r;
  fresh.lora_alpha = config.lora.lora_alpha;
  fresh.lora_dropout = config.lora.lora_dropout;
  fresh.target_modules = config.lora.target_modules;
  fresh.exclude_modules = config.lora.exclude_modules;
  fresh.base_model = config.model.path;
  if (config.trainable == Trainable::kLora && !config.model.adapter) check_lora_targets(fresh, model);
  return fresh;
}

/// Sets A to uniform numbers in ±1/sqrt(in), which is kaiming_uniform with a = sqrt(5) as in PEFT; B stays zero. The
/// random numbers are keyed by (seed, tensor, element).
void initialise_adapter(Qwen2Vl& model, uint64_t seed) {
  const CounterRandom random(seed, RandomUse::kLoraInit);
  const at::NoGradGuard no_grad;
  uint32_t tensor = 0;
  for (auto& [name, parameter] : model->lora_parameters()) {
    if (!name.ends_with(".lora_A.weight")) continue;
    at::Tensor values = at::empty({parameter.numel()}, at::kFloat);
    auto value = values.accessor<float, 1>();
    const double bound = 1 / std::sqrt(static_cast<double>(parameter.numel() / parameter.size(0)));
    for (int64_t i = 0; i < values.size(0); ++i) {
      value[i] = static_cast<float>(bound * (2 * random.uniform(tensor, static_cast<uint32_t>(i)) - 1));
    }
    parameter.copy_(values.view(parameter.sizes()));
    ++tensor;
  }
}

/// Logs that the rank, alpha and targets of a given adapter override the config's lora section.
void say_what_adapter_overrides(const Config& config, const AdapterConfig& adapter) {
  const LoraSection& lora = config.lora;
  log_info(concat("adapter ", *config.model.adapter, ": r ", adapter.r, ", lora_alpha ", adapter.lora_alpha,
                  ", trained further"));
  std::string ignored;
  const auto compare = [&](const char* key, const auto& asked, const auto& given) {
    if (asked != given)
      ignored += concat(ignored.empty() ? "" : ", ", key, ' ', asked, " (the adapter has ", given, ")");
  };
  compare("lora.r", lora.r, adapter.r);
  compare("lora.lora_alpha", lora.lora_alpha, adapter.lora_alpha);
  compare("lora.target_modules", sorted_text(lora.target_modules), sorted_text(adapter.target_modules));
  compare("lora.exclude_modules", sorted_text(lora.exclude_modules), sorted_text(adapter.exclude_modules));
  if (!ignored.empty()) log_warning(concat("[run] model.adapter is given, so these keys are ignored: ", ignored));
}

/// Adds the adapter to train to the model: that of model.adapter, or a new one.
AdapterConfig give_adapter(Qwen2Vl& model, const Config& config, const std::optional<Adapter>& given,
                           const AdapterConfig& fresh) {
  if (given) {
    add_adapter(model, *given, config.lora.lora_dropout);
    say_what_adapter_overrides(config, given->config);
    AdapterConfig result = given->config;
    result.lora_dropout = config.lora.lora_dropout;
    result.base_model = config.model.path;
    return result;
  }
  add_lora(model, fresh, fresh.lora_dropout);
  initialise_adapter(model, config.seed);
  return fresh;
}

bool has_tower_branch(const Qwen2Vl& model) {
  return std::ranges::any_of(model->lora_parameters(),
                             [](const auto& branch) { return branch.first.starts_with("model.visual."); });
}

void warn_of_a_large_model_on_the_cpu(const PlanInput& plan, const at::Device& device) {
  constexpr int64_t kLarge = 1'500'000'000;
  int64_t parameters = 0;
  for (const auto& [name, shape] : expected_tensors(plan.model)) {
    parameters += std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  }
  if (!device.is_cpu() || parameters < kLarge) return;
  log_warning(concat("[run] a model of ", static_cast<double>(parameters) / 1e9,
                     " billion weights is about to train on the CPU, ",
                     "which takes hours a step; is distributed.devices right?"));
}

/// Checks all prompts, puts the longest prompt and the largest image into the plan, and returns the lengths
/// of the prompts, with the largest reference images that they may get. An unreadable image gets length 0;
/// data.bad_image decides what happens when its turn comes.
std::vector<int64_t> check_samples(const Dataset& data, const SamplePreparer& preparer, PlanInput& plan) {
  std::vector<int64_t> lengths(data.samples.size(), 0);
  ReferenceTokens references(data, preparer);
  const int64_t merged = plan.model.vision.spatial_merge_size * plan.model.vision.spatial_merge_size;
  for (std::size_t i = 0; i < data.samples.size(); ++i) {
    std::vector<int64_t> images = references.most(data.samples[i]);
    try {
      images.push_back(preparer.image_tokens(data.samples[i]));
    } catch (const Error&) {
      continue;
    }
    plan.image_patches = std::max(plan.image_patches, std::ranges::max(images) * merged);
    lengths[i] = std::ssize(preparer.prompt(data.samples[i], images));
    plan.prompt_tokens = std::max(plan.prompt_tokens, lengths[i]);
  }
  return lengths;
}

/// Hash of a file's size, its first MiB (with the header of weights) and 64 blocks spread over the rest. This tells
/// two fine-tunes of the same model apart without reading 16 GB.
std::string sampled_hash(const fs::path& path) {
  constexpr uint64_t kBegin = 1 << 20, kBlock = 4096, kBlocks = 64;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("run", "cannot read ", path.string());
  const uint64_t size = fs::file_size(path);
  std::string bytes = concat(size, ' ');
  const auto add = [&](uint64_t offset, uint64_t count) {
    std::string block(std::min(count, size - std::min(offset, size)), '\0');
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(block.data(), std::ssize(block));
    bytes += block;
  };
  add(0, kBegin);
  for (uint64_t k = 1; size > kBegin && k <= kBlocks; ++k) add(kBegin + (size - kBegin) / kBlocks * k - kBlock, kBlock);
  return sha256_hex(bytes);
}

/// Adds a hash of each file that determines the model's results, named "<what> file <name>".
void add_fingerprints(const std::string& what, const fs::path& folder, Fingerprints& fingerprints) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path name = entry.path().filename();
    if (name.extension() == ".safetensors" || name == "config.json" || name == "adapter_config.json") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    fingerprints.emplace_back(concat(what, " file ", file.filename().string()), sampled_hash(file));
  }
}

Fingerprints model_fingerprints(const Config& config) {
  Fingerprints result;
  add_fingerprints("model", config.model.path, result);
  if (config.model.adapter) add_fingerprints("model.adapter", *config.model.adapter, result);
  return result;
}

/// Of the samples, and of the images that reference images are drawn from.
std::string data_fingerprint(const Dataset& data) {
  std::string text;
  for (const Sample& sample : data.samples) {
    text += concat(sample.id, '\t', sample.object, '\t', sample.label ? verdict_name(*sample.label) : "", '\t',
                   sample.response, '\n');
  }
  if (!data.references) return sha256_hex(text);
  for (const auto& [object, images] : data.references->by_object()) {
    for (const Sample& image : images) text += concat("reference\t", object, '\t', image.id, '\n');
  }
  return sha256_hex(text);
}

}  // namespace

RunInputs load_run_inputs(const Config& config, const at::Device& device, int64_t num_ranks) {
  Dataset data = read_dataset(config.data);
  log_info("data " + config.data.root + "\n" + describe(data));
  check_labels(config, data);
  data.references = read_references(config.data, &data, config.seed);
  std::optional<Dataset> eval_data;
  if (config.eval_data && config.train.eval_steps > 0) {
    eval_data = read_dataset(*config.eval_data);
    log_info("evaluation data " + config.eval_data->root + "\n" + describe(*eval_data));
    eval_data->references = read_references(*config.eval_data, nullptr, config.seed);
  }
  const fs::path model_dir = config.model.path;
  Tokenizer tokenizer = Tokenizer::load(model_dir);
  check_chat_template(model_dir);
  const ModelConfig model = read_model_config(model_dir);
  check_chat_tokens(tokenizer, model);
  AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  SamplePreparer preparer(tokenizer, config.prompt, read_model_image_settings(model_dir, config.image));
  PlanInput plan{config,
                 model,
                 fresh_adapter(config, model),
                 0,
                 0,
                 free_memory(device, config.distributed.memory_fraction),
                 num_ranks,
                 device.is_cpu(),
                 config.data.reference.root ? 0 : std::ssize(data.samples)};
  std::optional<Adapter> adapter;
  if (config.model.adapter && config.trainable == Trainable::kLora) {
    adapter = read_adapter(*config.model.adapter);
    if (!adapter->saved.empty()) {
      fail("run", "the adapter ", *config.model.adapter,
           " has weights of whole modules (modules_to_save: ", ModuleNames{adapter->config.modules_to_save, ""}.text(),
           "), which are not trained here; merge it into the ", "model first: lriad-tool merge");
    }
    check_origin(*adapter, *config.model.adapter, model_dir);
    check_adapter(*adapter, plan.model);
    plan.adapter = adapter->config;
  }
  if (config.stage == Stage::kSft) check_targets(config, data);
  check_one_image_is_readable(data, preparer);
  std::vector<int64_t> prompt_tokens = check_samples(data, preparer, plan);
  if (eval_data && eval_data->references) {
    ReferenceTokens references(*eval_data, preparer);
    for (const Sample& sample : eval_data->samples) preparer.check_prompt(sample, references.most(sample));
  }
  return {config,
          std::move(tokenizer),
          std::move(answer_tokens),
          std::move(preparer),
          std::move(data),
          std::move(eval_data),
          std::move(plan),
          std::move(adapter),
          std::move(prompt_tokens),
          model_fingerprints(config)};
}

RunContext load_run_context(RunInputs inputs, const at::Device& device) {
  const Config config = inputs.config;
  MemoryPlan plan = plan_memory(inputs.plan);
  warn_of_a_large_model_on_the_cpu(inputs.plan, device);
  limit_threads(inputs.plan.model.text);
  Qwen2Vl model = load_model(config.model.path, scalar_type(config.model.dtype), device);
  AdapterConfig adapter;
  if (config.trainable == Trainable::kLora)
    adapter = give_adapter(model, config, inputs.given_adapter, inputs.plan.adapter);
  inputs.given_adapter.reset();
  model->set_gradient_checkpointing(plan.gradient_checkpointing);
  const bool trains_tower = config.trainable == Trainable::kAll || has_tower_branch(model);
  FeatureCache features(trains_tower ? VisionCacheSection{0, 0, {}} : config.model.vision_cache, model);
  return {std::move(inputs),   std::move(plan),   device, std::move(model), trains_tower,
          std::move(features), std::move(adapter)};
}

Fingerprints fingerprints(const RunInputs& inputs) {
  Fingerprints result = {{"code version", concat(kVersion, " ", git_revision())},
                         {"config", sha256_hex(canonical_config(inputs.config))},
                         {"data listing", data_fingerprint(inputs.data)}};
  result.insert(result.end(), inputs.model_files.begin(), inputs.model_files.end());
  return result;
}

}  // namespace lriad

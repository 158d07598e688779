#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/feature_cache.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/run/memory_plan.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// What a run reads before any weights, checked against each other.
struct RunInputs {
  Config config;
  Tokenizer tokenizer;
  AnswerTokens answer_tokens;
  SamplePreparer preparer;
  Dataset data;
  std::optional<Dataset> eval_data;      ///< with train.eval_steps > 0
  PlanInput plan;                        ///< for plan_memory()
  std::optional<Adapter> given_adapter;  ///< model.adapter, until the model has taken it
  std::vector<int64_t> prompt_tokens;    ///< of each sample of `data`, image tokens included; 0: its image is bad
};

/// Reads data, tokenizer and processor settings, checks every prompt and target, and notes what a memory plan needs.
RunInputs load_run_inputs(const Config& config, const at::Device& device, int64_t num_ranks);

/// What something is, by name: hashes and versions that can be compared.
using Fingerprints = std::vector<std::pair<std::string, std::string>>;

/// Hashes of the files of the model and of model.adapter: of their headers and of blocks spread over the weights.
Fingerprints model_fingerprints(const Config& config);

/// What a run works with.
struct RunContext : RunInputs {
  MemoryPlan memory;
  at::Device device;
  Qwen2Vl model;          ///< with its adapter unless everything is trained
  FeatureCache features;  ///< for a frozen tower
  AdapterConfig adapter;
  Fingerprints model_files;
};

/// The inputs, and the model, which takes longest.
RunContext load_run_context(const Config& config, const at::Device& device, int64_t num_ranks);

/// What all ranks must have in common: code version, config, data listing, model.
Fingerprints fingerprints(const RunContext& context);

}  // namespace lriad

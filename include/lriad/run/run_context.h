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

/// Names with hashes or versions, for comparing ranks and runs.
using Fingerprints = std::vector<std::pair<std::string, std::string>>;

/// What a run reads before the weights, checked for consistency.
struct RunInputs {
  Config config;
  Tokenizer tokenizer;
  AnswerTokens answer_tokens;
  SamplePreparer preparer;
  Dataset data;
  std::optional<Dataset> eval_data;      ///< set if train.eval_steps > 0
  PlanInput plan;                        ///< for plan_memory()
  std::optional<Adapter> given_adapter;  ///< content of model.adapter; null after it was added to the model
  std::vector<int64_t> prompt_tokens;    ///< of each sample of `data`, image tokens included; 0: image is unreadable
  Fingerprints model_files;              ///< of model.path and model.adapter; headers and some blocks of the weights
};

/// Reads data, tokenizer and image settings, checks all prompts and targets, and collects what a memory plan needs.
/// Throws Error for what cannot be used.
RunInputs load_run_inputs(const Config& config, const at::Device& device, int64_t num_ranks);

/// What must be equal on all ranks: code version, config, data listing and model files.
Fingerprints fingerprints(const RunInputs& inputs);

/// The inputs and the loaded model of a run.
struct RunContext : RunInputs {
  MemoryPlan memory;
  at::Device device;
  Qwen2Vl model;          ///< with the adapter to train, unless all weights are trained
  bool trains_tower;      ///< weights of the vision tower or branches in it are trained
  FeatureCache features;  ///< keeps nothing if the tower is trained
  AdapterConfig adapter;  ///< of the adapter that is trained
};

/// Plans the memory, loads the model and adds the adapter.
RunContext load_run_context(RunInputs inputs, const at::Device& device);

}  // namespace lriad

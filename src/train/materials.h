#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "feature_cache.h"
#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"
#include "lriad/model/adapter_files.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "lriad/train/plan.h"

namespace lriad {

/// What a run reads before any weights, checked against each other.
struct Inputs {
  Config config;
  Tokenizer tokenizer;
  LetterTokens letters;
  SamplePreparer preparer;
  Dataset data;
  std::optional<Dataset> eval_data;    ///< with train.eval_steps > 0
  PlanInput plan;                      ///< for plan_memory()
  std::vector<int64_t> prompt_tokens;  ///< of each sample of `data`, image tokens included; 0: its picture is bad
};

/// Reads data, tokenizer and processor settings, checks every prompt and target, and notes what a memory plan needs.
Inputs load_inputs(const Config& config, const at::Device& device, int64_t num_ranks);

/// What a run works with.
struct Materials : Inputs {
  MemoryPlan memory;
  at::Device device;
  Qwen2Vl model;          ///< with its adapter unless everything is trained
  FeatureCache features;  ///< for a frozen tower
  AdapterConfig adapter;
};

/// The inputs, and the model, which takes longest.
Materials load_materials(const Config& config, const at::Device& device, int64_t num_ranks);

/// What all ranks must have in common: code version, config, data listing, model.
std::vector<std::pair<std::string, std::string>> fingerprints(const Materials& materials);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/model/adapter_config.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// What the memory of a run depends on.
struct PlanInput {
  Config config;
  ModelConfig model;
  AdapterConfig adapter;      ///< of the adapter that is trained, unless all weights are
  int64_t prompt_tokens = 0;  ///< tokens of the longest prompt, image tokens included
  int64_t image_patches = 0;  ///< patches of the largest image
  int64_t memory_bytes = 0;   ///< memory of the device that one process may use
  int64_t num_ranks = 1;
  bool on_cpu = true;
  int64_t num_images = 0;  ///< images of the data set; 0: unknown
};

/// Bytes that one process needs in each phase of a step, in the worst case: all prompts are as long as the longest one,
/// and all completions as long as allowed.
struct MemoryPlan {
  using Items = std::vector<std::pair<std::string, int64_t>>;
  struct Phase {
    std::string name;
    Items items;
    int64_t bytes() const;  ///< sum of its items, without `always`
  };
  Items always;  ///< items that every phase has, such as the weights
  std::vector<Phase> phases;
  int64_t rows_per_pass = 0;                   ///< packed rows of one training pass
  int64_t logits_at_once = 0;                  ///< logits that exist at once in a training pass, in elements
  bool gradient_checkpointing = false;         ///< whether layers are recomputed in the backward pass
  int64_t memory_bytes = 0;                    ///< as PlanInput::memory_bytes
  int64_t bytes_per_row = 0;                   ///< saved per row and for all layers until the backward pass
  int64_t rows_shared = 0, rows_unshared = 0;  ///< packed rows of a step with and without shared prompts

  int64_t peak() const;  ///< bytes of the largest phase, `always` included
  bool fits() const { return peak() <= memory_bytes; }
  std::string table() const;  ///< all items as text for the user
};

/// Chooses what the config leaves to `auto`, so that the plan fits at the least cost in time. In this order it lowers
/// the logits that exist at once (2^26 to 2^22) and the rows of a training pass (at most train.token_budget or 8192, at
/// least one group), then turns on model.gradient_checkpointing. If nothing fits, returns the smallest plan. Needs no
/// weights.
MemoryPlan plan_memory(const PlanInput& input);

/// A single change of the config that would make the plan fit, as `key: value` with the new peak; null if none would.
/// Changes that do not affect the results are tried first; a number is lowered no further than needed.
std::optional<std::string> smallest_change(const PlanInput& input);

/// Bytes that a new process could use: free memory of a GPU, but at most `gpu_fraction` of what it has, or available
/// memory of the machine for the CPU.
int64_t free_memory(const at::Device& device, double gpu_fraction);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// What a plan is made for.
struct PlanInput {
  Config config;
  ModelConfig model;
  int64_t prompt_tokens = 0;  ///< of the longest prompt, image tokens included
  int64_t image_patches = 0;  ///< of the largest image
  int64_t memory_bytes = 0;   ///< that the device has for one process
  int64_t num_ranks = 1;
  bool on_cpu = true;
  int64_t num_images = 0;  ///< of the data set; 0: unknown
};

/// Bytes of one process by what they are for, phase by phase, worst case: every prompt as long as the longest, every
/// completion as long as allowed. What stands in `always` is there in every phase.
struct MemoryPlan {
  using Items = std::vector<std::pair<std::string, int64_t>>;
  struct Phase {
    std::string name;
    Items items;
    int64_t bytes() const;  ///< of its own items
  };
  Items always;
  std::vector<Phase> phases;
  int64_t rows_per_pass = 0;   ///< language-model rows of one training pass
  int64_t logits_at_once = 0;  ///< of a training pass: a chunk of the head
  bool gradient_checkpointing = false;
  int64_t memory_bytes = 0;
  int64_t bytes_per_row = 0;                   ///< saved by a training pass for its backward half, all layers
  int64_t rows_shared = 0, rows_unshared = 0;  ///< of a step's training passes with and without shared prompts

  int64_t peak() const;  ///< of the largest phase, `always` included
  bool fits() const { return peak() <= memory_bytes; }
  std::string table() const;
};

/// Chooses what the config leaves to `auto`: rows of a training pass (train.token_budget) as large as fits, at most
/// 8192 and at least one prompt's, how many logits exist at once, 2^26 down to 2^22, and whether layers are computed
/// again in the backward pass (model.gradient_checkpointing), in the order of what they cost. Needs no weights.
/// Formulas: src/train/plan.cpp, beside each item.
MemoryPlan plan_memory(const PlanInput& input);

/// The first of a few single changes of the config that would make it fit, those that leave the results alone before
/// the others, numbers lowered no further than needed: `key: value` with its peak; null if none would.
std::optional<std::string> smallest_change(const PlanInput& input);

/// Bytes that a new process could take on the device: free memory of a GPU, available memory of the machine.
int64_t free_memory(const at::Device& device);

}  // namespace lriad

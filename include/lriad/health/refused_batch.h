#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lriad/grpo/group.h"
#include "lriad/health/guard.h"
#include "lriad/model/adapter_files.h"

namespace lriad {

/// One rank's part of a step that the health guard refused, with all that is needed to compute it again.
struct RefusedBatch {
  int64_t step = 0, rank = 0, num_ranks = 1;
  std::string reason;                      ///< text of HealthGuard::check()
  StepHealth health;                       ///< over all ranks
  std::string guard;                       ///< HealthGuard::save()
  std::string config;                      ///< canonical_config()
  int64_t last_saved = -1;                 ///< step of the newest checkpoint; -1: none
  std::optional<Adapter> adapter;          ///< the weights of that step; null with trainable: all
  std::vector<std::vector<Group>> passes;  ///< groups that went through the model together, pass by pass
};

/// Writes a safetensors file; a crash leaves it whole or absent. Its metadata has a JSON text (key lriad_batch):
/// version, step, rank, ranks, reason, loss, grad_norm, kl, finite_logprobs, guard, config and its sha256, last_saved,
/// adapter, groups [{prompt_index, pass, sample_id, texts, dropout_seed}]. Tensors: `adapter.<name>`; for group k with
/// the prefix `groups.<k>.` prompt_ids [L], grids [n, 3], completion_ids [M], lengths [G] int64; rewards, advantages,
/// weights [G] float64; features, or patches [n] if the vision tower is trained; old, reference, policy [M], allowed
/// [M, V]. Throws Error if it cannot be written.
void write_refused_batch(const std::filesystem::path& file, const RefusedBatch& batch);

/// Throws Error naming the file if it is no such batch, or the shapes of its tensors contradict each other.
RefusedBatch read_refused_batch(const std::filesystem::path& file);

}  // namespace lriad

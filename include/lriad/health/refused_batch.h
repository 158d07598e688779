#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/grpo/loss.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/health/guard.h"
#include "lriad/model/adapter_files.h"

namespace lriad {

/// A prompt of a step with its completions (stage sft: its one target text) as the loss sees them. M tokens in all.
struct BatchGroup {
  int64_t prompt_index = 0;  ///< of the prompt in the step's batch, over all ranks
  int64_t pass = 0;          ///< groups of one number go through the model together
  std::string sample_id;
  std::string prompt;  ///< as text, without special tokens
  PromptGroup tokens;
  std::vector<float> patches;  ///< of the image (vision/image_processor.h) where the tower is trained, else empty
  std::vector<std::string> texts;
  std::vector<double> rewards;              ///< empty: stage sft
  std::vector<double> advantages, weights;  ///< of each completion, as in LossInputs
  at::Tensor old_M, reference_M, policy_M;  ///< log-probabilities; undefined: not computed

  std::size_t size() const { return tokens.completions.size(); }
  int64_t num_tokens() const;
};

/// What the loss of the groups is made of, but for the log-probabilities of the policy.
LossInputs loss_inputs(std::span<const BatchGroup> groups, at::ScalarType dtype, const at::Device& device);

/// One rank's part of a step that the health guard refused, with all that is needed to compute it again.
struct RefusedBatch {
  int64_t step = 0, rank = 0, num_ranks = 1;
  std::string reason;              ///< the guard's words
  StepHealth health;               ///< over all ranks
  std::string guard;               ///< HealthGuard::save()
  std::string config;              ///< canonical_config()
  int64_t last_saved = -1;         ///< step of the newest checkpoint; -1: none
  std::optional<Adapter> adapter;  ///< the weights as they were; null with trainable: all
  std::vector<BatchGroup> groups;
};

/// Writes safetensors with a JSON text in its metadata (key lriad_batch): step, rank, ranks, reason, loss, grad_norm,
/// kl, finite_logprobs, guard, config and its sha256, last_saved, adapter, groups [{prompt_index, pass, sample_id,
/// prompt, texts, dropout_seed}]. Tensors: `adapter.<name>`; of group k `groups.<k>.` prompt_ids [L], grids [n, 3],
/// completion_ids [M], lengths [G] int64; rewards, advantages, weights [G] float64; features, patches [n], old,
/// reference, policy [M], kept [M, V]. Atomic.
void write_refused_batch(const std::filesystem::path& file, const RefusedBatch& batch);

/// Throws Error naming the file if it is no such batch, or its parts do not fit each other.
RefusedBatch read_refused_batch(const std::filesystem::path& file);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// A prompt and the texts that follow it: the G completions of a rollout, or the target of a cold-start sample.
struct PromptGroup {
  std::vector<int64_t> ids;
  std::vector<Grid> grids;
  at::Tensor features_MD;                         ///< rows of the prompt's pictures; undefined without any
  std::vector<std::vector<int64_t>> completions;  ///< token ids, none empty
  std::vector<at::Tensor> kept_TV;  ///< a completion: tokens that count in the softmax, bool on the CPU; empty: all
  uint64_t dropout_seed = 0;        ///< of the whole group
};

/// Whether completions share the prompt's rows (computed once, exact without dropout; with dropout all completions of a
/// prompt meet the same mask on it) or each has a prompt of its own.
enum class Prefix { kShared, kOwn };

/// Groups packed into one pass, without padding.
struct PackedGroups {
  PackedTokens tokens;
  at::Tensor rows_M;     ///< packed row that predicts each completion token
  at::Tensor targets_M;  ///< the token; M tokens in all, in the order [group][completion][token]
  at::Tensor kept_MV;    ///< undefined: all tokens count
  std::vector<DropoutRange> dropout;
  int64_t num_rows = 0;  ///< T, rows that pass through the language model
};
PackedGroups pack_groups(std::span<const PromptGroup> groups, const ModelConfig& config, Prefix prefix,
                         const at::Device& device);

/// Rows of the language model that pack_groups() makes of a group.
int64_t packed_rows(const PromptGroup& group, Prefix prefix);

/// Of each completion token: log softmax(logits / temperature) (float32; float64 for a float64 model; with gradient)
/// and the entropy of that distribution (nats, no gradient). The logits exist for a bounded number of rows at a time;
/// the backward pass makes them again.
struct TokenLogprobs {
  at::Tensor logp_M;
  at::Tensor entropy_M;
};
TokenLogprobs token_logprobs(Qwen2Vl& model, const PackedGroups& packed, double temperature);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// A prompt and the texts that follow it: the G completions of a rollout, or the target of a cold-start sample.
struct PromptGroup {
  std::vector<int64_t> ids;
  std::vector<Grid> grids;
  at::Tensor features_MD;                         ///< rows of the prompt's images; undefined without any
  std::vector<std::vector<int64_t>> completions;  ///< token ids, none empty
  std::vector<at::Tensor> allowed_TV;  ///< a completion: tokens that count in the softmax, bool on the CPU; empty: all
  uint64_t dropout_seed = 0;           ///< of the whole group
  uint64_t first_completion = 0;       ///< number in the group of the first one here: each has dropout masks of its own
};

/// Whether completions share the prompt's rows (computed once, exact without dropout; with dropout all completions of a
/// prompt meet the same mask on it) or each has a prompt of its own.
enum class Prefix { kShared, kOwn };

/// Groups packed into one pass, without padding.
struct PackedGroups {
  PackedTokens tokens;
  at::Tensor rows_M;      ///< packed row that predicts each completion token
  at::Tensor targets_M;   ///< the token; M tokens in all, in the order [group][completion][token]
  at::Tensor allowed_MV;  ///< undefined: all tokens count
  std::vector<DropoutRange> dropout;
  int64_t num_rows = 0;  ///< T, rows that pass through the language model
};
PackedGroups pack_groups(std::span<const PromptGroup> groups, const ModelConfig& config, Prefix prefix,
                         const at::Device& device);

/// Rows of the language model that pack_groups() makes of a group.
int64_t packed_rows(const PromptGroup& group, Prefix prefix);

/// d loss / d logp of the tokens from `begin` on, given their log-probabilities (no gradient): a loss that is a sum
/// over tokens needs nothing more for its gradient. [C] -> [C].
using LogprobGradient = std::function<at::Tensor(const at::Tensor& logp_C, int64_t begin)>;

/// Of each completion token, in float32 (float64 for a float64 model): log softmax(logits / temperature), the entropy
/// of that distribution (nats), whether no token is likelier.
struct TokenLogprobs {
  at::Tensor logp_M, entropy_M, top1_M;

  /// Adds the gradient of the loss to all weights that are trained. Once.
  void backward();

  at::Tensor hidden_MD, hidden_gradient_MD, head,
      head_gradient;  ///< what backward() needs; undefined without a loss gradient
};

inline constexpr int64_t kLogitsAtOnce = 1 << 26;  ///< numbers: 256 MiB in float32

/// At most `logits_at_once` logits (but at least a row of them) exist at a time, each once only: with a loss gradient
/// their gradient is formed as soon as they are there. Without one nothing is kept for a backward pass.
TokenLogprobs token_logprobs(Qwen2Vl& model, const PackedGroups& packed, double temperature,
                             const LogprobGradient& logprob_gradient = {}, int64_t logits_at_once = kLogitsAtOnce);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lriad/grpo/group.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

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
PackedGroups pack_groups(std::span<const Group* const> groups, const ModelConfig& config, Prefix prefix,
                         const at::Device& device);

/// Rows of the language model that pack_groups() makes of a group. The last token of a completion predicts nothing, so
/// it has no row.
int64_t packed_rows(const Group& group, Prefix prefix);

/// d loss / d logp of the tokens from `begin` on, given their log-probabilities (no gradient). The loss is a sum over
/// tokens, so its gradient needs nothing more. [C] -> [C].
using LogprobGradient = std::function<at::Tensor(const at::Tensor& logp_C, int64_t begin)>;

/// Of each completion token, in float32 (float64 for a float64 model): log softmax(logits / temperature), the entropy
/// of that distribution in nats, and whether no token is likelier.
struct TokenLogprobs {
  at::Tensor logp_M, entropy_M, top1_M;

  /// Adds the gradient of the loss to all weights that are trained. Call it once.
  void backward();

  at::Tensor hidden_MD, hidden_gradient_MD;  ///< what backward() needs; undefined without a LogprobGradient
  at::Tensor head, head_gradient;            ///< defined only where the head is trained
};

inline constexpr int64_t kLogitsAtOnce = 1 << 26;  ///< numbers: 256 MiB in float32

/// At most `logits_at_once` logits (but at least one row) exist at a time, and each is computed once: where a
/// `logprob_gradient` is given, the gradient of a chunk of logits is formed as soon as the chunk is there. Without one,
/// nothing is saved for a backward pass. Source: Liger's fused linear losses.
TokenLogprobs token_logprobs(Qwen2Vl& model, const PackedGroups& packed, double temperature,
                             const LogprobGradient& logprob_gradient = {}, int64_t logits_at_once = kLogitsAtOnce);

/// Scalars of any dtype and device as numbers, read at once: each read by itself would wait for the device.
std::vector<double> read_scalars(std::vector<at::Tensor> scalars);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lriad/grpo/group.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// kShared: the prompt's rows are computed once for all completions of a group. This is exact; with dropout, the
/// completions share the prompt's mask. kOwn: the prompt is computed anew for each completion.
enum class Prefix { kShared, kOwn };

/// Images of groups that hold patches: the pass runs them through the vision tower, whose weights it trains.
struct PackedImages {
  std::vector<at::Tensor> patches_NP;  ///< of each group, float32 on the CPU: views of Group::patches
  std::vector<Grid> grids;             ///< of all groups, in order
  std::vector<std::size_t> of_prompt;  ///< of each prompt in the pass: the number of its group
  TowerDropout dropout;
};

/// Groups packed into one forward pass without padding: T rows, of which M predict the completion tokens, in the order
/// [group][completion][token].
struct PackedGroups {
  PackedTokens tokens;
  PackedImages images;        ///< empty if `tokens` has the features
  at::Tensor rows_M;          ///< int64: the row that predicts each completion token
  at::Tensor targets_M;       ///< int64: ids of the completion tokens
  at::Tensor allowed_MV;      ///< bool: allowed tokens; undefined if all are allowed
  at::Tensor dropout_keys_T;  ///< int64: dropout_key() of each row
  int64_t num_rows = 0;       ///< T
};
/// The groups must outlive the result if they hold patches. Throws Error if these do not fill the grids.
PackedGroups pack_groups(std::span<const Group* const> groups, const ModelConfig& config, Prefix prefix,
                         const at::Device& device);

/// Number of rows that pack_groups() makes of a group. The last token of a completion needs no row, since nothing
/// follows it.
int64_t packed_rows(const Group& group, Prefix prefix);

/// Gradient of the loss by the log-probabilities of the C tokens from `begin` on, given these log-probabilities
/// (detached): [C] -> [C]. It can be computed for a part of the tokens because the loss is a sum over tokens.
using LogprobGradient = std::function<at::Tensor(const at::Tensor& logp_C, int64_t begin)>;

/// Results for each completion token, in float32 (float64 for a float64 model).
struct TokenLogprobs {
  /// log softmax(logits / temperature) of the token; entropy of that distribution in nats; bool: whether no other token
  /// has a larger probability.
  at::Tensor logp_M, entropy_M, top1_M;

  /// Adds the gradient of the loss to the gradients of all trained weights. Needs a LogprobGradient; call it once.
  void backward();

  at::Tensor hidden_MD, hidden_gradient_MD;  ///< kept for backward(); undefined without a LogprobGradient
  at::Tensor head, head_gradient;            ///< the output head; its gradient is defined only if it is trained
};

inline constexpr int64_t kLogitsAtOnce = 1 << 26;  ///< elements; 256 MiB in float32

/// Forward pass over packed groups. Logits are computed once and in chunks of at most `logits_at_once` elements (but at
/// least one row). With a `logprob_gradient`, the gradient of each chunk is computed before the chunk is dropped;
/// without one, nothing is saved for a backward pass. Images of the pass go through the vision tower in it, with the
/// weights, adapter and dropout of the pass. Source: Liger's fused linear losses.
TokenLogprobs token_logprobs(Qwen2Vl& model, const PackedGroups& packed, double temperature,
                             const LogprobGradient& logprob_gradient = {}, int64_t logits_at_once = kLogitsAtOnce);

/// Copies scalars of any dtype and device to the host in one transfer, since each transfer waits for the device.
std::vector<double> read_scalars(std::vector<at::Tensor> scalars);

}  // namespace lriad

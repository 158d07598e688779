#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lriad {

inline constexpr int64_t kLogitsAtOnce = 1 << 26;  ///< numbers: 256 MiB in float32

struct HeadLogprobs {
  at::Tensor logp_M;     ///< with gradient to hidden and head
  at::Tensor entropy_M;  ///< no gradient
};

/// log softmax(hidden head^T / temperature) at the targets, over the tokens of kept_MV if that is defined. hidden [M,
/// D], head [V, D], targets [M] int64. Logits are made chunk by chunk, in the backward pass again, so that no more than
/// `logits_at_once` exist (but at least one row of them), whatever M and V; sums run in float32 (float64 for float64).
HeadLogprobs head_logprobs(const at::Tensor& hidden_MD, const at::Tensor& head_VD, const at::Tensor& targets_M,
                           const at::Tensor& kept_MV, double temperature, int64_t logits_at_once = kLogitsAtOnce);

}  // namespace lriad

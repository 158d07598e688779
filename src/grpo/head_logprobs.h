#pragma once

#include <ATen/core/Tensor.h>

namespace lriad {

struct HeadLogprobs {
  at::Tensor logp_M;     ///< with gradient to hidden and head
  at::Tensor entropy_M;  ///< no gradient
};

/// log softmax(hidden head^T / temperature) at the targets, over the tokens of kept_MV if that is defined. hidden [M,
/// D], head [V, D], targets [M] int64. Logits are made chunk by chunk, in the backward pass again, so memory is bounded
/// whatever M and V; sums run in float32 (float64 for float64).
HeadLogprobs head_logprobs(const at::Tensor& hidden_MD, const at::Tensor& head_VD, const at::Tensor& targets_M,
                           const at::Tensor& kept_MV, double temperature);

}  // namespace lriad

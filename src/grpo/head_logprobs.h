#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "lriad/grpo/token_logprobs.h"

namespace lriad {

struct HeadLogprobs {
  at::Tensor logp_M, entropy_M, top1_M;
  at::Tensor hidden_gradient_MD;  ///< undefined without a LogprobGradient
  at::Tensor head_gradient_VD;    ///< undefined without a LogprobGradient or if the head is frozen
};

/// log softmax(hidden head^T / temperature) at the targets, over the allowed tokens if allowed_MV is defined, and with
/// a logprob_gradient the gradients of its loss by `hidden` and `head`. hidden [M, D], head [V, D], targets [M] int64,
/// allowed [M, V] bool. Sums run in float32 (float64 for float64). See token_logprobs() for the chunks of logits. On a
/// GPU too by libtorch's operators: they move about 76 bytes a logit, an estimated 1.5% of a step with the paper's
/// settings on an A40, which a kernel of our own could not lower by more.
HeadLogprobs head_logprobs(const at::Tensor& hidden_MD, const at::Tensor& head_VD, const at::Tensor& targets_M,
                           const at::Tensor& allowed_MV, double temperature,
                           const LogprobGradient& logprob_gradient = {}, int64_t logits_at_once = kLogitsAtOnce);

}  // namespace lriad

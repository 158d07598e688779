#include "head_logprobs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "lriad/model/accumulate_dtype.h"

// Shape letters: M completion tokens, C of them in a chunk, D hidden size, V vocabulary.
namespace lriad {
namespace {

/// log softmax of a chunk's logits, [C, V]; -inf for tokens in `dropped_CV`.
at::Tensor chunk_logs(const at::Tensor& hidden_CD, const at::Tensor& head_VD, const at::Tensor& dropped_CV,
                      double temperature) {
  at::Tensor logs = at::linear(hidden_CD, head_VD).to(accumulate_dtype(hidden_CD.scalar_type()));
  if (temperature != 1) logs.div_(temperature);
  if (dropped_CV.defined()) logs.masked_fill_(dropped_CV, -std::numeric_limits<double>::infinity());
  return logs.sub_(logs.logsumexp(1, /*keepdim=*/true));
}

}  // namespace

HeadLogprobs head_logprobs(const at::Tensor& hidden_MD, const at::Tensor& head_VD, const at::Tensor& targets_M,
                           const at::Tensor& allowed_MV, double temperature, const LogprobGradient& logprob_gradient,
                           int64_t logits_at_once) {
  const at::NoGradGuard no_grad;
  const int64_t count = hidden_MD.size(0), step = std::max<int64_t>(1, logits_at_once / head_VD.size(0));
  const at::TensorOptions sums =
      hidden_MD.options().dtype(accumulate_dtype(hidden_MD.scalar_type())).requires_grad(false);
  HeadLogprobs result{
      at::empty({count}, sums), at::empty({count}, sums), at::empty({count}, sums.dtype(at::kBool)), {}, {}};
  if (logprob_gradient)
    result.hidden_gradient_MD = at::empty(hidden_MD.sizes(), hidden_MD.options().requires_grad(false));
  if (logprob_gradient && head_VD.requires_grad()) result.head_gradient_VD = at::zeros_like(head_VD);
  for (int64_t begin = 0; begin < count; begin += step) {
    const int64_t end = std::min(count, begin + step);
    const at::Tensor hidden_CD = hidden_MD.slice(0, begin, end),
                     target_C1 = targets_M.slice(0, begin, end).unsqueeze(1);
    const at::Tensor dropped_CV = allowed_MV.defined() ? allowed_MV.slice(0, begin, end).logical_not() : at::Tensor();
    at::Tensor logs_CV = chunk_logs(hidden_CD, head_VD, dropped_CV, temperature);
    const at::Tensor logp_C = logs_CV.gather(1, target_C1).squeeze(1);
    result.logp_M.slice(0, begin, end).copy_(logp_C);
    result.top1_M.slice(0, begin, end).copy_(logp_C >= logs_CV.amax(1));
    at::Tensor softmax_CV = logs_CV.exp();
    if (dropped_CV.defined()) logs_CV.masked_fill_(dropped_CV, 0);  // in the entropy, 0 * -inf would be NaN
    const at::Tensor mean_log_C = at::bmm(softmax_CV.unsqueeze(1), logs_CV.unsqueeze(2)).flatten();
    result.entropy_M.slice(0, begin, end).copy_(mean_log_C.neg());
    logs_CV.reset();
    if (!logprob_gradient) continue;
    // The gradient of logp by the scaled logits is onehot(target) - softmax.
    const at::Tensor logprob_gradient_C1 = (logprob_gradient(logp_C, begin) / temperature).unsqueeze(1);
    const at::Tensor gradient_CV =
        softmax_CV.mul_(-logprob_gradient_C1).scatter_add_(1, target_C1, logprob_gradient_C1).to(head_VD.scalar_type());
    at::Tensor hidden_gradient_CD = result.hidden_gradient_MD.slice(0, begin, end);
    at::mm_out(hidden_gradient_CD, gradient_CV, head_VD);
    if (result.head_gradient_VD.defined()) result.head_gradient_VD.addmm_(gradient_CV.t(), hidden_CD);
  }
  return result;
}

}  // namespace lriad

#include "head_logprobs.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <optional>

// Shape letters: M completion tokens, C of them in a chunk (at most `step`), D hidden size, V vocabulary.
namespace lriad {
namespace {

at::ScalarType sum_dtype(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

/// Scores of a chunk whose softmax is the distribution: [C, V].
at::Tensor chunk_scores(const at::Tensor& hidden_CD, const at::Tensor& head_VD, const at::Tensor& kept_CV,
                        double temperature) {
  at::Tensor scores = at::linear(hidden_CD, head_VD).to(sum_dtype(hidden_CD));
  if (temperature != 1) scores = scores / temperature;
  return kept_CV.defined() ? scores.masked_fill(kept_CV.logical_not(), -std::numeric_limits<double>::infinity())
                           : scores;
}

at::Tensor rows(const at::Tensor& x, int64_t begin, int64_t end) { return x.defined() ? x.slice(0, begin, end) : x; }

struct Head : torch::autograd::Function<Head> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden_MD,
                                                const at::Tensor& head_VD, const at::Tensor& targets_M,
                                                const std::optional<at::Tensor>& kept, double temperature,
                                                int64_t step) {
    const at::Tensor kept_MV = kept.value_or(at::Tensor());
    const int64_t count = hidden_MD.size(0);
    std::vector<at::Tensor> logp, entropy, log_sum;
    for (int64_t begin = 0; begin < count; begin += step) {
      const int64_t end = std::min(count, begin + step);
      const at::Tensor scores =
          chunk_scores(rows(hidden_MD, begin, end), head_VD, rows(kept_MV, begin, end), temperature);
      log_sum.push_back(scores.logsumexp(1));
      const at::Tensor logs = scores - log_sum.back().unsqueeze(1);
      logp.push_back(logs.gather(1, rows(targets_M, begin, end).unsqueeze(1)).squeeze(1));
      const at::Tensor weighted = logs.exp() * logs;
      entropy.push_back(-(kept_MV.defined() ? weighted.nan_to_num() : weighted).sum(1));
    }
    context->save_for_backward({hidden_MD, head_VD, targets_M, kept_MV, at::cat(log_sum)});
    context->saved_data["temperature"] = temperature;
    context->saved_data["step"] = step;
    const at::Tensor entropies = at::cat(entropy);
    context->mark_non_differentiable({entropies});
    return {at::cat(logp), entropies};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &hidden_MD = saved[0], &head_VD = saved[1], &targets_M = saved[2], &kept_MV = saved[3],
                     &log_sum_M = saved[4];
    const double temperature = context->saved_data["temperature"].toDouble();
    const int64_t count = hidden_MD.size(0), step = context->saved_data["step"].toInt();
    std::vector<at::Tensor> hidden_gradient;
    at::Tensor head_gradient;
    for (int64_t begin = 0; begin < count; begin += step) {
      const int64_t end = std::min(count, begin + step);
      const at::Tensor scores =
          chunk_scores(rows(hidden_MD, begin, end), head_VD, rows(kept_MV, begin, end), temperature);
      const at::Tensor upstream = (rows(gradients[0], begin, end) / temperature).unsqueeze(1);
      // d logp / d scores = onehot - softmax
      const at::Tensor softmax = (scores - rows(log_sum_M, begin, end).unsqueeze(1)).exp_();
      at::Tensor gradient = softmax.mul_(-upstream).scatter_add_(1, rows(targets_M, begin, end).unsqueeze(1), upstream);
      gradient = gradient.to(head_VD.scalar_type());
      if (hidden_MD.requires_grad()) hidden_gradient.push_back(at::mm(gradient, head_VD));
      if (!head_VD.requires_grad()) continue;
      const at::Tensor part = at::mm(gradient.t(), rows(hidden_MD, begin, end));
      head_gradient = head_gradient.defined() ? head_gradient.add_(part) : part;
    }
    const at::Tensor none;
    return {hidden_gradient.empty() ? none : at::cat(hidden_gradient), head_gradient, none, none, none, none};
  }
};

}  // namespace

HeadLogprobs head_logprobs(const at::Tensor& hidden_MD, const at::Tensor& head_VD, const at::Tensor& targets_M,
                           const at::Tensor& kept_MV, double temperature, int64_t logits_at_once) {
  const int64_t step = std::max<int64_t>(1, logits_at_once / head_VD.size(0));
  const auto result = Head::apply(hidden_MD, head_VD, targets_M,
                                  kept_MV.defined() ? std::optional(kept_MV) : std::nullopt, temperature, step);
  return {result[0], result[1]};
}

}  // namespace lriad

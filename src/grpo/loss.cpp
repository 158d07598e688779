#include "lriad/grpo/loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "lriad/core/error.h"

// Shape letters: M completion tokens of all completions of a micro-batch.
namespace lriad {
namespace {

void check_shapes(const LossInputs& in) {
  for (const at::Tensor& other : {in.old_M, in.reference_M, in.advantage_M, in.weight_M}) {
    if (other.defined() && other.sizes() != in.logp_M.sizes()) {
      fail("grpo", "logp is ", in.logp_M.sizes(), ", another input of the loss is ", other.sizes());
    }
  }
}

/// -min(rho A, clip(rho) A) with TRL's counts of clipped tokens.
at::Tensor ratio_loss(const LossInputs& in, const GrpoSection& section, LossSums& sums) {
  const at::Tensor old = in.old_M.defined() ? in.old_M : in.logp_M.detach();
  const at::Tensor ratio = at::exp(in.logp_M - old);
  if (!section.epsilon) return -ratio * in.advantage_M;
  const double low = 1 - *section.epsilon, high = 1 + section.epsilon_high.value_or(*section.epsilon);
  const at::Tensor counted = in.weight_M != 0;
  sums.clip_low = ((ratio < low) & (in.advantage_M < 0) & counted).sum().item<double>();
  sums.clip_high = ((ratio > high) & (in.advantage_M > 0) & counted).sum().item<double>();
  return -at::minimum(ratio * in.advantage_M, ratio.clamp(low, high) * in.advantage_M);
}

at::Tensor reference(const LossInputs& in, const GrpoSection& section) {
  if (in.reference_M.defined() || section.beta == 0 || section.kl_anchor != KlReference::kOld) return in.reference_M;
  return in.old_M.defined() ? in.old_M : in.logp_M.detach();
}

}  // namespace

std::vector<double> completion_weights(const std::vector<int64_t>& lengths, LossType type, int64_t count,
                                       int64_t tokens, int64_t max_completion_length) {
  std::vector<double> weights;
  for (const int64_t length : lengths) {
    double divisor = 1;
    switch (type) {
      case LossType::kGrpo:
        divisor = static_cast<double>(count) * static_cast<double>(length);
        break;
      case LossType::kBnpo:
      case LossType::kDapo:
        divisor = static_cast<double>(tokens);
        break;
      case LossType::kDrGrpo:
        divisor = static_cast<double>(count) * static_cast<double>(max_completion_length);
        break;
    }
    weights.push_back(length > 0 && divisor > 0 ? 1 / divisor : 0);
  }
  return weights;
}

LossSums grpo_loss(const LossInputs& in, const GrpoSection& section) {
  check_shapes(in);
  LossSums sums;
  at::Tensor loss_M =
      section.policy_loss == PolicyLoss::kLogp ? -in.advantage_M * in.logp_M : ratio_loss(in, section, sums);
  if (const at::Tensor reference_M = reference(in, section); reference_M.defined()) {
    const at::Tensor gap_M = reference_M - in.logp_M;
    const at::Tensor k3_M = at::exp(gap_M) - gap_M - 1;
    sums.kl_sum = (k3_M.detach() * (in.weight_M != 0)).sum().item<double>();
    if (section.beta != 0) loss_M = loss_M + section.beta * k3_M;
  }
  sums.loss = (in.weight_M * loss_M).sum();
  return sums;
}

at::Tensor grpo_logprob_gradient(const LossInputs& in, const at::Tensor& logp_C, int64_t begin,
                                 const GrpoSection& section) {
  const at::AutoGradMode with_gradient(true);
  const auto rows = [&](const at::Tensor& x_M) {
    return x_M.defined() ? x_M.slice(0, begin, begin + logp_C.size(0)) : x_M;
  };
  const at::Tensor leaf_C = logp_C.detach().requires_grad_();
  const LossInputs part{leaf_C, rows(in.old_M), rows(in.reference_M), rows(in.advantage_M), rows(in.weight_M)};
  return torch::autograd::grad({grpo_loss(part, section).loss}, {leaf_C}).front();
}

}  // namespace lriad

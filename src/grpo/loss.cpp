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
    require(!other.defined() || other.sizes() == in.logp_M.sizes(), "grpo", "an input of the loss has not the shape ",
            in.logp_M.sizes(), " of logp");
  }
}

template <class Value>
at::Tensor tensor_of(const std::vector<Value>& values) {
  return at::tensor(at::ArrayRef<Value>(values), c10::CppTypeToScalarType<Value>::value);
}

/// The inputs with all numbers of tokens of weight 0 set to 0, since weight * loss would be NaN for infinite numbers.
LossInputs counted_only(const LossInputs& in) {
  const at::Tensor counts_M = in.weight_M != 0;
  const auto counted = [&](const at::Tensor& values_M) {
    return values_M.defined() ? at::where(counts_M, values_M, at::zeros({}, values_M.options())) : values_M;
  };
  return {counted(in.logp_M), counted(in.old_M), counted(in.reference_M), counted(in.advantage_M), in.weight_M};
}

at::Tensor count(const at::Tensor& mask_M, const at::Tensor& like) { return mask_M.sum().to(like.scalar_type()); }

/// Token losses -min(ratio A, clip(ratio) A); counts clipped tokens as TRL does.
at::Tensor ratio_loss(const LossInputs& in, const GrpoSection& section, LossSums& sums) {
  const at::Tensor old_M = in.old_M.defined() ? in.old_M : in.logp_M.detach();
  const at::Tensor ratio_M = at::exp(in.logp_M - old_M);
  if (!section.epsilon) return -ratio_M * in.advantage_M;
  const double low = 1 - *section.epsilon, high = 1 + section.epsilon_high.value_or(*section.epsilon);
  sums.clip_low = count((ratio_M < low) & (in.advantage_M < 0), in.logp_M);
  sums.clip_high = count((ratio_M > high) & (in.advantage_M > 0), in.logp_M);
  return -at::minimum(ratio_M * in.advantage_M, ratio_M.clamp(low, high) * in.advantage_M);
}

at::Tensor reference_logprobs(const LossInputs& in, const GrpoSection& section) {
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

LossInputs loss_inputs(std::span<const Group* const> groups, at::ScalarType dtype, const at::Device& device) {
  std::vector<double> advantages, weights;
  std::vector<at::Tensor> old, reference;
  for (const Group* group : groups) {
    for (const GroupCompletion& completion : group->completions) {
      advantages.insert(advantages.end(), completion.ids.size(), completion.advantage);
      weights.insert(weights.end(), completion.ids.size(), completion.weight);
    }
    if (group->old_M.defined()) old.push_back(group->old_M.to(device));
    if (group->reference_M.defined()) reference.push_back(group->reference_M.to(device));
  }
  LossInputs in;
  in.advantage_M = tensor_of(advantages).to(device, dtype);
  in.weight_M = tensor_of(weights).to(device, dtype);
  if (!old.empty()) in.old_M = at::cat(old);
  if (!reference.empty()) in.reference_M = at::cat(reference);
  return in;
}

LossSums grpo_loss(const LossInputs& given, const GrpoSection& section) {
  check_shapes(given);
  const LossInputs in = counted_only(given);
  const at::Tensor zero = at::zeros({}, in.logp_M.options().requires_grad(false));
  LossSums sums{zero, zero, zero, zero};
  at::Tensor loss_M =
      section.policy_loss == PolicyLoss::kLogp ? -in.advantage_M * in.logp_M : ratio_loss(in, section, sums);
  if (const at::Tensor reference_M = reference_logprobs(in, section); reference_M.defined()) {
    const at::Tensor gap_M = reference_M - in.logp_M;
    const at::Tensor k3_M = at::exp(gap_M) - gap_M - 1;
    sums.kl = k3_M.detach().sum();
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

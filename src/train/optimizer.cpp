#include "lriad/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <numeric>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr const char* kExpAvg = "optimizer.exp_avg";
constexpr const char* kExpAvgSq = "optimizer.exp_avg_sq";
constexpr const char* kSteps = "optimizer.steps";

std::string shape_text(at::IntArrayRef shape) { return concat(shape); }

const at::Tensor& require_state(const std::map<std::string, at::Tensor>& state, const char* name) {
  const auto found = state.find(name);
  if (found == state.end()) fail("train", "the optimizer state lacks ", name);
  return found->second;
}

}  // namespace

AdamW::AdamW(FlatParameters& parameters, const OptimSection& section)
    : parameters_(parameters),
      section_(section),
      exp_avg_(at::zeros_like(parameters.values())),
      exp_avg_sq_(at::zeros_like(parameters.values())) {}

double AdamW::clip_gradients() {
  const at::NoGradGuard no_grad;
  // The norm of the parameters' norms, as in torch.nn.utils.clip_grad_norm_, so that the bits are equal.
  const at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(parameters_.gradient_views(), 2)), 2);
  if (section_.max_grad_norm > 0) {
    const at::Tensor factor = at::clamp_max(section_.max_grad_norm / (norm + 1e-6), 1.0);
    parameters_.gradients().mul_(factor);
  }
  return norm.item<double>();
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  ++num_steps_;
  const int64_t decayed = parameters_.num_decayed(), total = parameters_.values().numel();
  if (decayed > 0) update(0, decayed, learning_rate, section_.weight_decay);
  if (decayed < total) update(decayed, total, learning_rate, 0.0);
  parameters_.publish_values();
}

void AdamW::update(int64_t begin, int64_t end, double learning_rate, double weight_decay) {
  const auto part = [begin, end](const at::Tensor& flat) { return std::vector<at::Tensor>{flat.slice(0, begin, end)}; };
  const std::vector<at::Tensor> steps{
      at::full({}, static_cast<double>(num_steps_), parameters_.values().options().dtype(at::kFloat))};
  at::_fused_adamw_(part(parameters_.values()), part(parameters_.gradients()), part(exp_avg_), part(exp_avg_sq_), {},
                    steps, learning_rate, section_.adam_beta1, section_.adam_beta2, weight_decay, section_.adam_epsilon,
                    /*amsgrad=*/false, /*maximize=*/false);
}

std::map<std::string, at::Tensor> AdamW::state() const {
  return {{kExpAvg, exp_avg_.to(at::kCPU, exp_avg_.scalar_type(), /*non_blocking=*/false, /*copy=*/true)},
          {kExpAvgSq, exp_avg_sq_.to(at::kCPU, exp_avg_sq_.scalar_type(), /*non_blocking=*/false, /*copy=*/true)},
          {kSteps, at::full({1}, num_steps_, at::kLong)}};
}

void AdamW::restore(const std::map<std::string, at::Tensor>& state) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, own] : {std::pair{kExpAvg, &exp_avg_}, std::pair{kExpAvgSq, &exp_avg_sq_}}) {
    const at::Tensor& saved = require_state(state, name);
    if (saved.sizes() != own->sizes() || saved.scalar_type() != own->scalar_type()) {
      fail("train", name, " of the checkpoint is ", saved.toString(), " of shape ", shape_text(saved.sizes()),
           ", expected ", own->toString(), " of shape ", shape_text(own->sizes()),
           "; were lora, trainable or model.dtype changed?");
    }
    own->copy_(saved);
  }
  const at::Tensor& steps = require_state(state, kSteps);
  if (steps.numel() != 1 || steps.scalar_type() != at::kLong || steps.item<int64_t>() < 0) {
    fail("train", kSteps, " of the checkpoint is no step count");
  }
  num_steps_ = steps.item<int64_t>();
}

}  // namespace lriad

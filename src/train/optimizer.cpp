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

FlatParameters::FlatParameters(const std::vector<TrainedParameter>& parameters) {
  if (parameters.empty()) fail("train", "there is nothing to train");
  std::vector<TrainedParameter> ordered = parameters;
  std::stable_partition(ordered.begin(), ordered.end(), [](const TrainedParameter& one) { return one.decay; });
  const at::Tensor& first = ordered.front().tensor;
  int64_t total = 0;
  for (const TrainedParameter& one : ordered) {
    if (one.tensor.scalar_type() != first.scalar_type() || one.tensor.device() != first.device()) {
      fail("train", one.name, " is ", one.tensor.toString(), ", ", ordered.front().name, " ", first.toString(),
           ": trained tensors must share dtype and device");
    }
    ranges_.push_back({one.name, total, one.tensor.sizes().vec(), one.tensor.numel()});
    total += one.tensor.numel();
    if (one.decay) num_decayed_ = total;
  }
  const at::NoGradGuard no_grad;
  const bool full = first.scalar_type() == at::kFloat || first.scalar_type() == at::kDouble;
  const auto options = first.options().requires_grad(false);
  at::Tensor own_values = at::empty({total}, options);
  at::Tensor own_gradients = at::zeros({total}, options);
  for (std::size_t k = 0; k < ordered.size(); ++k) {
    const Range& range = ranges_[k];
    at::Tensor tensor = ordered[k].tensor;
    const at::Tensor place = own_values.narrow(0, range.begin, range.size).view(range.shape);
    place.copy_(tensor);
    tensor.set_data(place);
    tensor.mutable_grad() = own_gradients.narrow(0, range.begin, range.size).view(range.shape);
  }
  values_ = full ? own_values : own_values.to(at::kFloat);
  gradients_ = full ? own_gradients : own_gradients.to(at::kFloat);
  if (!full) {
    low_values_ = own_values;
    low_gradients_ = own_gradients;
  }
}

void FlatParameters::collect_gradients() {
  if (!low_gradients_.defined()) return;
  const at::NoGradGuard no_grad;
  gradients_.add_(low_gradients_);
  low_gradients_.zero_();
}

void FlatParameters::publish_values() {
  if (!low_values_.defined()) return;
  const at::NoGradGuard no_grad;
  low_values_.copy_(values_);
}

void FlatParameters::zero_gradients() {
  const at::NoGradGuard no_grad;
  gradients_.zero_();
  if (low_gradients_.defined()) low_gradients_.zero_();
}

std::map<std::string, at::Tensor> FlatParameters::named_values() const {
  std::map<std::string, at::Tensor> named;
  for (const Range& range : ranges_) {
    named[range.name] = values_.narrow(0, range.begin, range.size).view(range.shape);
  }
  return named;
}

std::vector<at::Tensor> FlatParameters::gradient_views() const {
  std::vector<at::Tensor> views;
  for (const Range& range : ranges_) views.push_back(gradients_.narrow(0, range.begin, range.size));
  return views;
}

void FlatParameters::load_values(const std::map<std::string, at::Tensor>& tensors) {
  std::string problems;
  for (const Range& range : ranges_) {
    const auto found = tensors.find(range.name);
    if (found == tensors.end()) {
      problems += concat("\n  ", range.name, " is missing");
    } else if (found->second.sizes() != at::IntArrayRef(range.shape)) {
      problems += concat("\n  ", range.name, " has shape ", shape_text(found->second.sizes()), ", expected ",
                         shape_text(range.shape));
    }
  }
  if (!problems.empty()) fail("train", "the saved weights do not fit this model:", problems);
  const at::NoGradGuard no_grad;
  for (const Range& range : ranges_) {
    values_.narrow(0, range.begin, range.size).view(range.shape).copy_(tensors.at(range.name));
  }
  publish_values();
}

AdamW::AdamW(FlatParameters& parameters, const OptimSection& section)
    : parameters_(parameters),
      section_(section),
      exp_avg_(at::zeros_like(parameters.values())),
      exp_avg_sq_(at::zeros_like(parameters.values())) {}

double AdamW::clip_gradients() {
  const at::NoGradGuard no_grad;
  // Norms of the parameters first, then of the norms: the order of torch.nn.utils.clip_grad_norm_, for equal bits.
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

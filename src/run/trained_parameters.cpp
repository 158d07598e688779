#include "lriad/run/trained_parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lriad/core/error.h"

namespace lriad {
namespace {

bool decays(const std::string& name, const at::Tensor& tensor) {
  return tensor.dim() > 1 && !name.ends_with(".bias") && name.find("norm") == std::string::npos;
}

}  // namespace

FlatParameters::FlatParameters(const std::vector<TrainedParameter>& parameters) {
  require(!parameters.empty(), "run", "there is nothing to train");
  std::vector<TrainedParameter> ordered = parameters;
  std::stable_partition(ordered.begin(), ordered.end(), [](const TrainedParameter& one) { return one.decay; });
  const at::Tensor& first = ordered.front().tensor;
  int64_t total = 0;
  for (const TrainedParameter& one : ordered) {
    require(one.tensor.scalar_type() == first.scalar_type() && one.tensor.device() == first.device(), "run", one.name,
            " has another dtype or device than ", ordered.front().name);
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
    const at::Tensor view = own_values.narrow(0, range.begin, range.size).view(range.shape);
    view.copy_(tensor);
    tensor.set_data(view);
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
      problems +=
          concat("\n  ", range.name, " has shape ", found->second.sizes(), ", expected ", at::IntArrayRef(range.shape));
    }
  }
  if (!problems.empty()) fail("run", "the saved weights do not fit this model:", problems);
  const at::NoGradGuard no_grad;
  for (const Range& range : ranges_) {
    values_.narrow(0, range.begin, range.size).view(range.shape).copy_(tensors.at(range.name));
  }
  publish_values();
}

std::vector<TrainedParameter> trained_parameters(Qwen2Vl& model, Trainable trainable) {
  std::vector<TrainedParameter> trained;
  if (trainable == Trainable::kLora) {
    for (const auto& [name, tensor] : model->lora_parameters()) trained.push_back({name, tensor, true});
    return trained;
  }
  for (const auto& item : model->named_parameters()) {
    item.value().requires_grad_(true);
    trained.push_back({item.key(), item.value(), decays(item.key(), item.value())});
  }
  return trained;
}

}  // namespace lriad

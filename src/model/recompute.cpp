#include "recompute.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace lriad {
namespace {

using Run = std::function<at::Tensor(const at::Tensor&)>;

struct RunHolder : torch::CustomClassHolder {
  explicit RunHolder(Run given) : run(std::move(given)) {}
  Run run;
};

struct ComputeAgain : torch::autograd::Function<ComputeAgain> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const Run& run) {
    context->save_for_backward({x});
    context->saved_data["run"] = c10::IValue::make_capsule(c10::make_intrusive<RunHolder>(run));
    const at::NoGradGuard no_grad;
    return run(x);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto holder = c10::static_intrusive_pointer_cast<RunHolder>(context->saved_data["run"].toCapsule());
    const at::Tensor x = context->get_saved_variables()[0].detach().requires_grad_(true);
    const at::AutoGradMode with_grad(true);
    torch::autograd::backward({holder->run(x)}, {gradients[0]});
    return {x.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor recompute_in_backward(const at::Tensor& x, const Run& run) {
  // Without this the first layer's parameters would get no gradient: its input is made from frozen weights.
  const at::Tensor input = x.requires_grad() ? x : x.detach().requires_grad_(true);
  return ComputeAgain::apply(input, run);
}

}  // namespace lriad

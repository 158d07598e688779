#include "memory_saving.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "lriad/kernels/operators.h"
#include "lriad/model/accumulate_dtype.h"

namespace lriad {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool by_kernel(const at::Tensor& x) { return operators::serve(x.device()) && x.size(-1) % 8 == 0; }

struct RmsNormFunction : torch::autograd::Function<RmsNormFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double eps) {
    if (by_kernel(x)) return forward_by_kernel(context, x.contiguous(), weight, eps);
    const at::Tensor wide = x.to(accumulate_dtype(x.scalar_type()));
    const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);
    context->save_for_backward({x, weight, scale});
    return weight * (wide * scale).to(x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &scale = saved[2];
    if (by_kernel(x) && !weight.requires_grad()) {
      const at::Tensor x_gradient = at::empty_like(x);
      operators::norm_rows_backward(gradients[0].contiguous(), x, weight, scale, x_gradient);
      return {x_gradient, at::Tensor(), at::Tensor()};
    }
    const at::Tensor wide = x.to(scale.scalar_type());
    const at::Tensor inner = (gradients[0] * weight).to(scale.scalar_type());
    const at::Tensor along = (inner * wide).mean(-1, /*keepdim=*/true);
    const at::Tensor x_gradient = (inner * scale - wide * (scale.pow(3) * along)).to(x.scalar_type());
    if (!weight.requires_grad()) return {x_gradient, at::Tensor(), at::Tensor()};
    const at::Tensor weight_gradient = (gradients[0] * (wide * scale).to(x.scalar_type())).flatten(0, -2).sum(0);
    return {x_gradient, weight_gradient, at::Tensor()};
  }

 private:
  static at::Tensor forward_by_kernel(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                                      double eps) {
    std::vector<int64_t> one_a_row = x.sizes().vec();
    one_a_row.back() = 1;
    const at::Tensor result = at::empty_like(x);
    const at::Tensor scale = at::empty(one_a_row, x.options().dtype(accumulate_dtype(x.scalar_type())));
    operators::norm_rows(x, {}, weight, eps, result, {}, scale, {}, {});
    context->save_for_backward({x, weight, scale});
    return result;
  }
};

struct SiluTimesFunction : torch::autograd::Function<SiluTimesFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    context->save_for_backward({gate, up});
    if (!by_kernel(gate)) return at::silu(gate).mul_(up);
    const at::Tensor result = at::empty_like(gate);
    operators::silu_times(gate, up, result);
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1], &upstream = gradients[0];
    if (by_kernel(gate)) {
      const at::Tensor gate_gradient = at::empty_like(gate), up_gradient = at::empty_like(up);
      operators::silu_times_backward(upstream.contiguous(), gate, up, gate_gradient, up_gradient);
      return {gate_gradient, up_gradient};
    }
    // In place: these are the widest tensors of a layer.
    at::Tensor gate_gradient = upstream * up;
    at::silu_backward_out(gate_gradient, gate_gradient, gate);
    return {gate_gradient, at::silu(gate).mul_(upstream)};
  }
};

struct DropoutHolder : torch::CustomClassHolder {
  explicit DropoutHolder(Dropout given) : dropout(std::move(given)) {}
  Dropout dropout;
};

struct LoraFunction : torch::autograd::Function<LoraFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& lora_a,
                            const at::Tensor& lora_b, double scaling, const Dropout& dropout) {
    const at::Tensor mid = at::linear(dropped(x, lora_a.scalar_type(), dropout), lora_a);
    context->save_for_backward({x, lora_a, lora_b, mid});
    context->saved_data["scaling"] = scaling;
    context->saved_data["dropout"] = c10::IValue::make_capsule(c10::make_intrusive<DropoutHolder>(dropout));
    return at::linear(mid, lora_b) * scaling;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &lora_a = saved[1], &lora_b = saved[2], &mid = saved[3];
    const auto holder = c10::static_intrusive_pointer_cast<DropoutHolder>(context->saved_data["dropout"].toCapsule());
    const at::Tensor outer = gradients[0] * context->saved_data["scaling"].toDouble();
    const at::Tensor inner = at::mm(outer, lora_b);
    const at::Tensor a_gradient = at::mm(inner.t(), dropped(x, lora_a.scalar_type(), holder->dropout));
    at::Tensor x_gradient;
    if (x.requires_grad()) x_gradient = dropped(at::mm(inner, lora_a), x.scalar_type(), holder->dropout);
    return {x_gradient, a_gradient, at::mm(outer.t(), mid), at::Tensor(), at::Tensor()};
  }

 private:
  static at::Tensor dropped(const at::Tensor& x, at::ScalarType dtype, const Dropout& dropout) {
    return dropout ? dropout(x, dtype) : x.to(dtype);
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return RmsNormFunction::apply(x, weight, eps);
}

at::Tensor silu_times(const at::Tensor& gate, const at::Tensor& up) { return SiluTimesFunction::apply(gate, up); }

at::Tensor lora_branch(const at::Tensor& x, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling,
                       const Dropout& dropout) {
  return LoraFunction::apply(x, lora_a, lora_b, scaling, dropout);
}

}  // namespace lriad

#include "lriad/kernels/operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <type_traits>

namespace lriad::operators {
namespace {

TORCH_LIBRARY(lriad, library) {
  library.def(
      "norm_rows(Tensor x, Tensor? added, Tensor weight, float eps, Tensor(a!) result, Tensor(b!)? sum, "
      "Tensor(c!)? scale, Tensor? lora_a, Tensor(d!)? middle) -> ()");
  library.def(
      "norm_rows_backward(Tensor gradient, Tensor x, Tensor weight, Tensor scale, Tensor(a!) x_gradient) -> ()");
  library.def(
      "finish_projections(Tensor projected, Tensor? middle, Tensor? lora_b, int[] ranks, Tensor? query_norm, "
      "Tensor? key_norm, float eps, Tensor cosines, Tensor sines, Tensor num_sampled, Tensor(a!) queries, "
      "Tensor(b!) keys, Tensor(c!) values) -> ()");
  library.def(
      "cached_attention(Tensor queries, Tensor prompt_keys, Tensor prompt_values, Tensor keys, Tensor values, "
      "Tensor prompt_lengths, Tensor num_sampled, Tensor(a!) partial, Tensor(b!) tickets, Tensor(c!) result) -> ()");
  library.def("silu_times(Tensor gate, Tensor up, Tensor(a!) result) -> ()");
  library.def(
      "silu_times_backward(Tensor gradient, Tensor gate, Tensor up, Tensor(a!) gate_gradient, "
      "Tensor(b!) up_gradient) -> ()");
  library.def("rotate(Tensor x, Tensor cosines, Tensor sines, bool back, Tensor(a!) result) -> ()");
  library.def(
      "sample(Tensor logits, Tensor uniforms, Tensor banned, Tensor ends, int[] answer_tokens, float temperature, "
      "Tensor(a!) ids, Tensor(b!) next_ids, Tensor(c!) trace, Tensor(d!) num_sampled, Tensor(e!) ended, "
      "Tensor(f!) num_ended) -> ()");
  library.def("drop_out(Tensor x, Tensor keys, int layer, int limit, float kept, Tensor(a!) result) -> ()");
}

/// As the functions behind the operators take an argument.
template <class Argument>
using Passed = std::conditional_t<std::is_same_v<Argument, at::Tensor> || std::is_same_v<Argument, Optional>,
                                  const Argument&, Argument>;

template <class... Arguments>
void call(const char* name, const Arguments&... arguments) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<void(Passed<Arguments>...)>().call(arguments...);
}

}  // namespace

bool serve(const at::Device& device) {
  static const auto operators = c10::Dispatcher::singleton().findSchemaOrThrow("lriad::sample", "");
  return device.is_cuda() && operators.hasComputedKernelForDispatchKey(c10::DispatchKey::CUDA);
}

void norm_rows(const at::Tensor& x, const Optional& added, const at::Tensor& weight, double eps,
               const at::Tensor& result, const Optional& sum, const Optional& scale, const Optional& lora_a,
               const Optional& middle) {
  call("lriad::norm_rows", x, added, weight, eps, result, sum, scale, lora_a, middle);
}

void norm_rows_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                        const at::Tensor& scale, const at::Tensor& x_gradient) {
  call("lriad::norm_rows_backward", gradient, x, weight, scale, x_gradient);
}

void finish_projections(const at::Tensor& projected, const Optional& middle, const Optional& lora_b,
                        const std::array<int64_t, 3>& ranks, const Optional& query_norm, const Optional& key_norm,
                        double eps, const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& num_sampled,
                        const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) {
  call("lriad::finish_projections", projected, middle, lora_b, at::IntArrayRef(ranks), query_norm, key_norm, eps,
       cosines, sines, num_sampled, queries, keys, values);
}

void cached_attention(const at::Tensor& queries, const at::Tensor& prompt_keys, const at::Tensor& prompt_values,
                      const at::Tensor& keys, const at::Tensor& values, const at::Tensor& prompt_lengths,
                      const at::Tensor& num_sampled, const at::Tensor& partial, const at::Tensor& tickets,
                      const at::Tensor& result) {
  call("lriad::cached_attention", queries, prompt_keys, prompt_values, keys, values, prompt_lengths, num_sampled,
       partial, tickets, result);
}

void silu_times(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& result) {
  call("lriad::silu_times", gate, up, result);
}

void silu_times_backward(const at::Tensor& gradient, const at::Tensor& gate, const at::Tensor& up,
                         const at::Tensor& gate_gradient, const at::Tensor& up_gradient) {
  call("lriad::silu_times_backward", gradient, gate, up, gate_gradient, up_gradient);
}

void rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back,
            const at::Tensor& result) {
  call("lriad::rotate", x, cosines, sines, back, result);
}

void sample(const at::Tensor& logits, const at::Tensor& uniforms, const at::Tensor& banned, const at::Tensor& ends,
            const std::array<int64_t, 2>& answer_tokens, double temperature, const at::Tensor& ids,
            const at::Tensor& next_ids, const at::Tensor& trace, const at::Tensor& num_sampled, const at::Tensor& ended,
            const at::Tensor& num_ended) {
  call("lriad::sample", logits, uniforms, banned, ends, at::IntArrayRef(answer_tokens), temperature, ids, next_ids,
       trace, num_sampled, ended, num_ended);
}

void drop_out(const at::Tensor& x, const at::Tensor& keys, int64_t layer, int64_t limit, double kept,
              const at::Tensor& result) {
  call("lriad::drop_out", x, keys, layer, limit, kept, result);
}

}  // namespace lriad::operators

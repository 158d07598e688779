// The operators of include/lriad/kernels/operators.h by our kernels: for tensors of a GPU, or, with LRIAD_EMULATED, for
// those of the host, with the kernels compiled for it.
#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels.h"
#ifndef LRIAD_EMULATED
#include <c10/cuda/CUDAStream.h>
#endif

namespace lriad::kernels {
namespace {

using Optional = std::optional<at::Tensor>;

#ifdef LRIAD_EMULATED
void* stream_of(const at::Tensor&) { return nullptr; }
#else
void* stream_of(const at::Tensor& x) { return c10::cuda::getCurrentCUDAStream(x.device().index()).stream(); }
#endif

void check_shape(const at::Tensor& x, at::IntArrayRef expected, const char* name) {
  TORCH_CHECK(x.sizes() == expected, "[kernels] ", name, " has shape ", x.sizes(), ", expected ", expected);
}

template <class T>
T* data(const at::Tensor& x) {
  TORCH_CHECK(x.is_contiguous(), "[kernels] a tensor of shape ", x.sizes(), " is not contiguous");
  return x.data_ptr<T>();
}

template <class T>
T* data(const Optional& x) {
  return x.has_value() ? data<T>(*x) : nullptr;
}

int whole(int64_t number) { return static_cast<int>(number); }

void check_eights(int64_t size, const char* name) {
  TORCH_CHECK(size % 8 == 0, "[kernels] ", name, " has rows of ", size, " numbers, expected a multiple of 8");
}

/// Calls act(zero) with a zero of the tensor's type.
template <class Act>
void for_dtype_of(const at::Tensor& x, const Act& act) {
  const c10::DeviceGuard guard(x.device());
  switch (x.scalar_type()) {
    case at::kDouble:
      return act(double{});
    case at::kFloat:
      return act(float{});
    case at::kBFloat16:
      return act(c10::BFloat16(0.0f));
    default:
      TORCH_CHECK(false, "[kernels] got numbers of type ", x.scalar_type(), ", expected float32, bfloat16 or float64");
  }
}

void run_norm_rows(const at::Tensor& x, const Optional& added, const at::Tensor& weight, double eps,
                   const at::Tensor& result, const Optional& sum, const Optional& scale, const Optional& lora_a,
                   const Optional& middle) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  check_eights(size, "the input of the norm");
  check_shape(weight, {size}, "the weight of the norm");
  TORCH_CHECK(added.has_value() == sum.has_value(), "[kernels] `added` goes with `sum`");
  if (middle.has_value()) check_shape(*middle, {rows, lora_a.value().size(0)}, "the middle");
  for_dtype_of(x, [&](auto zero) {
    using T = decltype(zero);
    norm_rows(NormRows<T>{data<T>(x), data<T>(added), data<T>(weight), data<T>(sum), data<T>(result),
                          data<Wide<T>>(scale), data<Wide<T>>(lora_a), data<Wide<T>>(middle), whole(rows), whole(size),
                          middle.has_value() ? whole(middle->size(1)) : 0, eps},
              stream_of(x));
  });
}

void run_norm_rows_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& scale, const at::Tensor& x_gradient) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  check_eights(size, "the input of the norm");
  for_dtype_of(x, [&](auto zero) {
    using T = decltype(zero);
    norm_rows_backward(NormRowsBackward<T>{data<T>(gradient), data<T>(x), data<T>(weight), data<Wide<T>>(scale),
                                           data<T>(x_gradient), whole(rows), whole(size)},
                       stream_of(x));
  });
}

void run_finish_projections(const at::Tensor& projected, const Optional& middle, const Optional& lora_b,
                            at::IntArrayRef ranks, const Optional& query_norm, const Optional& key_norm, double eps,
                            const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& num_sampled,
                            const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) {
  const int64_t rows = queries.size(0), heads = queries.size(1), size = queries.size(2);
  const int64_t key_heads = keys.size(1), num_tokens = keys.size(2);
  TORCH_CHECK(ranks.size() == 3, "[kernels] expected three ranks");
  TORCH_CHECK(size % 2 == 0 && size <= kMostHeadSize, "[kernels] the head size is ", size);
  check_shape(projected, {rows, (heads + 2 * key_heads) * size}, "the projections");
  check_shape(values, {rows, key_heads, num_tokens, size}, "the cache of values");
  check_shape(cosines, {num_tokens, rows, size}, "the table of cosines");
  for_dtype_of(projected, [&](auto zero) {
    using T = decltype(zero);
    finish_projections(FinishProjections<T>{data<T>(projected),
                                            data<Wide<T>>(middle),
                                            data<Wide<T>>(lora_b),
                                            {whole(ranks[0]), whole(ranks[1]), whole(ranks[2])},
                                            data<T>(query_norm),
                                            data<T>(key_norm),
                                            data<T>(cosines),
                                            data<T>(sines),
                                            data<int>(num_sampled),
                                            data<T>(queries),
                                            data<T>(keys),
                                            data<T>(values),
                                            whole(rows),
                                            whole(heads),
                                            whole(key_heads),
                                            whole(size),
                                            whole(num_tokens),
                                            eps},
                       stream_of(projected));
  });
}

void run_cached_attention(const at::Tensor& queries, const at::Tensor& prompt_keys, const at::Tensor& prompt_values,
                          const at::Tensor& keys, const at::Tensor& values, const at::Tensor& prompt_lengths,
                          const at::Tensor& num_sampled, const at::Tensor& partial, const at::Tensor& tickets,
                          const at::Tensor& result) {
  const int64_t rows = queries.size(0), heads = queries.size(1), size = queries.size(2), prompts = prompt_keys.size(0);
  const int64_t key_heads = keys.size(1), shared_by = heads / key_heads;
  TORCH_CHECK(size % 8 == 0 && size <= kMostHeadSize && shared_by <= kMostQueriesOfAKeyHead,
              "[kernels] attention over a cache serves heads of at most ", kMostHeadSize, " numbers and at most ",
              kMostQueriesOfAKeyHead, " of them a key head, got ", size, " and ", shared_by);
  check_shape(partial, {rows, key_heads, partial.size(2), shared_by, size + 2}, "the scratch of attention");
  check_shape(prompt_values, prompt_keys.sizes(), "the prompts' values");
  check_shape(values, keys.sizes(), "the values");
  for_dtype_of(queries, [&](auto zero) {
    using T = decltype(zero);
    cached_attention(
        CachedAttention<T>{data<T>(queries), data<T>(prompt_keys), data<T>(prompt_values), data<T>(keys),
                           data<T>(values), data<int>(prompt_lengths), data<int>(num_sampled), data<Wide<T>>(partial),
                           data<int>(tickets), data<T>(result), whole(rows), whole(rows / prompts), whole(heads),
                           whole(key_heads), whole(size), whole(prompt_keys.size(2)), whole(keys.size(2)),
                           whole(partial.size(2)), 1 / std::sqrt(static_cast<double>(size))},
        stream_of(queries));
  });
}

void run_silu_times(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& result) {
  check_eights(gate.size(1), "the gate");
  check_shape(up, gate.sizes(), "what the gate lets through");
  check_shape(result, gate.sizes(), "the gated result");
  TORCH_CHECK(gate.stride(1) == 1 && up.stride(1) == 1 && gate.stride(0) == up.stride(0) && gate.stride(0) % 8 == 0,
              "[kernels] gate and up must have rows of one stride");
  for_dtype_of(gate, [&](auto zero) {
    using T = decltype(zero);
    silu_times(
        SiluTimes<T>{gate.data_ptr<T>(), up.data_ptr<T>(), data<T>(result), gate.size(0), gate.size(1), gate.stride(0)},
        stream_of(gate));
  });
}

void run_silu_times_backward(const at::Tensor& gradient, const at::Tensor& gate, const at::Tensor& up,
                             const at::Tensor& gate_gradient, const at::Tensor& up_gradient) {
  check_eights(gate.size(-1), "the gate");
  for_dtype_of(gate, [&](auto zero) {
    using T = decltype(zero);
    silu_times_backward(SiluTimesBackward<T>{data<T>(gradient), data<T>(gate), data<T>(up), data<T>(gate_gradient),
                                             data<T>(up_gradient), gate.numel()},
                        stream_of(gate));
  });
}

void run_rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back,
                const at::Tensor& result) {
  const int64_t rows = x.size(0), heads = x.size(1), size = x.size(2);
  TORCH_CHECK(size % 2 == 0, "[kernels] the head size is ", size);
  check_shape(cosines, {rows, size}, "the cosines");
  check_shape(sines, {rows, size}, "the sines");
  check_shape(result, x.sizes(), "the rotated heads");
  for_dtype_of(x, [&](auto zero) {
    using T = decltype(zero);
    rotate(Rotate<T>{data<T>(x), data<T>(cosines), data<T>(sines), data<T>(result), rows, heads, size, back},
           stream_of(x));
  });
}

void run_sample(const at::Tensor& logits, const at::Tensor& uniforms, const at::Tensor& banned, const at::Tensor& ends,
                at::IntArrayRef answer_tokens, double temperature, const at::Tensor& ids, const at::Tensor& next_ids,
                const at::Tensor& trace, const at::Tensor& num_sampled, const at::Tensor& ended,
                const at::Tensor& num_ended) {
  const int64_t rows = logits.size(0), num_tokens = ids.size(1);
  check_shape(uniforms, {num_tokens, rows}, "the uniform numbers");
  check_shape(trace, {rows, num_tokens, 5}, "the trace");
  for_dtype_of(logits, [&](auto zero) {
    using T = decltype(zero);
    sample(Sample<T>{data<T>(logits), data<double>(uniforms), data<int64_t>(banned), data<int64_t>(ends),
                     data<int64_t>(ids), data<int64_t>(next_ids), data<double>(trace), data<int>(num_sampled),
                     data<int>(ended), data<int>(num_ended), answer_tokens[0], answer_tokens[1], whole(rows),
                     whole(logits.size(1)), whole(num_tokens), whole(banned.numel()), whole(ends.numel()), temperature},
           stream_of(logits));
  });
}

template <class In, class Out>
void drop_out_as(const at::Tensor& x, const at::Tensor& keys, int64_t layer, int64_t limit, double kept,
                 const at::Tensor& result) {
  drop_out(DropOut<In, Out>{data<In>(x), data<int64_t>(keys), data<Out>(result), x.size(0), x.size(1),
                            static_cast<uint32_t>(layer), static_cast<uint32_t>(limit), kept},
           stream_of(x));
}

void run_drop_out(const at::Tensor& x, const at::Tensor& keys, int64_t layer, int64_t limit, double kept,
                  const at::Tensor& result) {
  check_eights(x.size(1), "the input of dropout");
  check_shape(keys, {x.size(0)}, "the keys of dropout");
  check_shape(result, x.sizes(), "the result of dropout");
  const c10::DeviceGuard guard(x.device());
  const auto from = x.scalar_type(), to = result.scalar_type();
  if (from == at::kDouble) return drop_out_as<double, double>(x, keys, layer, limit, kept, result);
  if (from == to) return drop_out_as<float, float>(x, keys, layer, limit, kept, result);
  if (from == at::kFloat) return drop_out_as<float, c10::BFloat16>(x, keys, layer, limit, kept, result);
  drop_out_as<c10::BFloat16, float>(x, keys, layer, limit, kept, result);
}

void add_operators(torch::Library& library) {
  library.impl("norm_rows", &run_norm_rows);
  library.impl("norm_rows_backward", &run_norm_rows_backward);
  library.impl("finish_projections", &run_finish_projections);
  library.impl("cached_attention", &run_cached_attention);
  library.impl("silu_times", &run_silu_times);
  library.impl("silu_times_backward", &run_silu_times_backward);
  library.impl("rotate", &run_rotate);
  library.impl("sample", &run_sample);
  library.impl("drop_out", &run_drop_out);
}

#ifdef LRIAD_EMULATED
TORCH_LIBRARY_IMPL(lriad, CPU, library) { add_operators(library); }
#else
TORCH_LIBRARY_IMPL(lriad, CUDA, library) { add_operators(library); }
#endif

}  // namespace
}  // namespace lriad::kernels

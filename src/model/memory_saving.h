#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lriad {

/// Pieces of a decoder layer whose backward pass keeps the least: each is written with plain operators, saves what its
/// comment says, and makes the rest again. On a GPU our kernels stand behind the same functions.

/// weight * (x rsqrt(mean x^2 + eps)) with two roundings, as Qwen2RMSNorm. Saves x and one number a row.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// silu(gate) * up. Saves gate and up.
at::Tensor silu_times(const at::Tensor& gate, const at::Tensor& up);

/// Dropout of x [rows, in], the result in `dtype`; the same mask at each call.
using Dropout = std::function<at::Tensor(const at::Tensor& x, at::ScalarType dtype)>;

/// scaling * (dropout(x) A^T) B^T in the dtype of A. Saves x as it came, not in A's dtype, and [rows, r] numbers; the
/// mask is made again. `dropout` may be empty.
at::Tensor lora_branch(const at::Tensor& x, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling,
                       const Dropout& dropout);

}  // namespace lriad

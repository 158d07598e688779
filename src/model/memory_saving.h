#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lriad {

/// Pieces of a decoder layer whose backward pass keeps the least: each is written with plain operators, saves what its
/// comment says, and makes the rest again. A kernel for a GPU would stand behind the same function.

/// weight * (x rsqrt(mean x^2 + eps)) with two roundings, as Qwen2RMSNorm. Saves x and one number a row.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// silu(gate) * up. Saves gate and up.
at::Tensor silu_times(const at::Tensor& gate, const at::Tensor& up);

/// Makes the mask of a dropout over [rows, in], already divided by the probability to stay; the same at each call.
using DropoutMask = std::function<at::Tensor()>;

/// scaling * (dropout(x) A^T) B^T in the dtype of A. Saves x as it came, not in A's dtype, and [rows, r] numbers; a
/// mask is made again. `mask` may be empty: no dropout.
at::Tensor lora_branch(const at::Tensor& x, const at::Tensor& lora_a, const at::Tensor& lora_b, double scaling,
                       const DropoutMask& mask);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lriad {

/// run(x), of which only x is kept for the backward pass; the rest is recomputed there (gradient checkpointing).
/// `run` must give the same result again; gradients of leaf tensors that it uses are added to their .grad by the
/// backward pass.
at::Tensor recompute_in_backward(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& run);

}  // namespace lriad

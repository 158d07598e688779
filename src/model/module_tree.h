#pragma once

#include <torch/nn/module.h>

#include <string>

namespace lriad {

/// A weight without values, of the default dtype; without memory too while a ShapesOnly lives on this thread.
at::Tensor blank(at::IntArrayRef sizes);

/// The owner's child of that name, made if it is not there; it only gives its own children their checkpoint names.
torch::nn::Module& name_space(torch::nn::Module& owner, const std::string& name);

/// Modules made while this lives have the shapes of their weights and no memory.
class ShapesOnly {
 public:
  ShapesOnly();
  ~ShapesOnly();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;
};

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

namespace lriad {

/// A weight without values, of the default dtype; without memory too while a ShapesOnly lives on this thread.
at::Tensor blank(at::IntArrayRef sizes);

/// Modules made while this lives have the shapes of their weights and no memory.
class ShapesOnly {
 public:
  ShapesOnly();
  ~ShapesOnly();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;
};

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace lriad {

/// float32 or bfloat16, as --dtype names them. Throws Error for other names.
at::ScalarType dtype_option(const std::string& name);

}  // namespace lriad

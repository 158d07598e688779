#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace lriad {

/// Values [h, w] (or what expands to that) of a grid's patches in the order in which the tower takes patches: blocks of
/// merge x merge row by row, and so within a block; once for each frame. [t h w].
at::Tensor block_order(const at::Tensor& values_HW, const std::array<int64_t, 3>& grid, int64_t merge);

}  // namespace lriad

#include "lriad/model/vision_layout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lriad/model/accumulate_dtype.h"
#include "merge_blocks.h"

// Shape letters: N patches, E entries of the position table, D tower width.
namespace lriad {
namespace {

/// The two entries of one axis around each of `count` patches in a row, with their weights.
struct AxisPoints {
  at::Tensor low, high, low_weight, high_weight;
};

AxisPoints axis_points(int64_t count, int64_t side, at::ScalarType dtype) {
  const at::Tensor at_patch = at::arange(count, dtype) * (side - 1) / std::max<int64_t>(count - 1, 1);
  const at::Tensor low = at_patch.floor(), part = at_patch - low;
  const at::Tensor index = low.to(at::kLong);
  return {index, (index + 1).clamp_max(side - 1), 1 - part, 1 - (part - 1).abs()};
}

}  // namespace

at::Tensor block_order(const at::Tensor& values_HW, const Grid& grid, int64_t merge) {
  return values_HW.expand({grid[1], grid[2]})
      .reshape({grid[1] / merge, merge, grid[2] / merge, merge})
      .transpose(1, 2)
      .reshape({-1})
      .repeat({grid[0]});
}

WindowOrder window_order(std::span<const Grid> grids, const VisionConfig& config) {
  const int64_t merge = config.spatial_merge_size, side = config.window_size / merge / config.patch_size;
  WindowOrder order;
  int64_t first = 0;
  const auto add_window = [&](int64_t top, int64_t left, int64_t rows, int64_t columns) {
    const int64_t bottom = std::min(top + side, rows), right = std::min(left + side, columns);
    for (int64_t row = top; row < bottom; ++row) {
      for (int64_t column = left; column < right; ++column) order.cells.push_back(first + row * columns + column);
    }
    order.lengths.push_back((bottom - top) * (right - left) * merge * merge);
  };
  for (const auto& [frames, h, w] : grids) {
    const int64_t rows = h / merge, columns = w / merge;
    for (int64_t frame = 0; frame < frames; ++frame, first += rows * columns) {
      for (int64_t top = 0; top < rows; top += side) {
        for (int64_t left = 0; left < columns; left += side) add_window(top, left, rows, columns);
      }
    }
  }
  return order;
}

TablePoints table_points(std::span<const Grid> grids, const VisionConfig& config, at::ScalarType dtype) {
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(config.num_position_embeddings)));
  std::vector<at::Tensor> entries, weights;
  for (const Grid& grid : grids) {
    const AxisPoints row = axis_points(grid[1], side, dtype), column = axis_points(grid[2], side, dtype);
    const auto patches = [&](const at::Tensor& values) { return block_order(values, grid, config.spatial_merge_size); };
    const auto entry = [&](const at::Tensor& r, const at::Tensor& c) {
      return patches(r.unsqueeze(1) * side + c.unsqueeze(0));
    };
    const auto weight = [&](const at::Tensor& r, const at::Tensor& c) {
      return patches(r.unsqueeze(1) * c.unsqueeze(0));
    };
    entries.push_back(at::stack({entry(row.low, column.low), entry(row.low, column.high), entry(row.high, column.low),
                                 entry(row.high, column.high)},
                                1));
    weights.push_back(
        at::stack({weight(row.low_weight, column.low_weight), weight(row.low_weight, column.high_weight),
                   weight(row.high_weight, column.low_weight), weight(row.high_weight, column.high_weight)},
                  1));
  }
  return {at::cat(entries), at::cat(weights)};
}

at::Tensor table_positions(const at::Tensor& table_ED, std::span<const Grid> grids, const VisionConfig& config) {
  const TablePoints points = table_points(grids, config, accumulate_dtype(table_ED.scalar_type()));
  const at::Tensor entries_N4D = at::embedding(table_ED, points.entries_N4.to(table_ED.device()));
  const at::Tensor weights_N41 = points.weights_N4.to(table_ED.device()).unsqueeze(-1);
  return (entries_N4D * weights_N41).sum(1).to(table_ED.scalar_type());
}

}  // namespace lriad

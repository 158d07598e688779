#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "lriad/model/model_config.h"

namespace lriad {

using Grid = std::array<int64_t, 3>;  ///< t, h, w of one image in patches

/// Merged cells of all images, window after window: windows go row by row from the top left and are cut off at the
/// right and bottom edge, and so do the cells in them. Source: get_window_index of modeling_qwen2_5_vl.py.
struct WindowOrder {
  std::vector<int64_t> cells;    ///< number of the cell in reading order that stands at each place
  std::vector<int64_t> lengths;  ///< of the windows, in patches
};
WindowOrder window_order(std::span<const Grid> grids, const VisionConfig& config);

/// The four entries of the position table around each patch and their weights, so that corners fall on corners.
/// Source: Qwen3VLVisionModel of modeling_qwen3_vl.py (5.x), bilinear with align_corners.
struct TablePoints {
  at::Tensor entries_N4;  ///< int64
  at::Tensor weights_N4;  ///< float32 (float64 for a float64 model)
};
TablePoints table_points(std::span<const Grid> grids, const VisionConfig& config, at::ScalarType dtype);

/// The table [entries, D] at every patch of the grids [N, D], summed in float32 and rounded once.
at::Tensor table_positions(const at::Tensor& table_ED, std::span<const Grid> grids, const VisionConfig& config);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "lriad/model/model_config.h"

namespace lriad {

/// Cosines and sines of a rotary embedding, one row a token, both halves of the head the same: [T, head_dim].
struct Rotary {
  at::Tensor cos_TD, sin_TD;
};

/// Positions of one prompt [3, L] (t, h, w) int64: text counts up on all axes; an image's merged sequences get their
/// coordinates and move the count on by its longer side. `grids` [t, h, w] in patches, in order of appearance. Throws
/// Error if the image tokens of `ids` do not fit the grids. Source: modeling_qwen2_vl.py (5.x), get_rope_index.
at::Tensor mrope_positions(std::span<const int64_t> ids, std::span<const std::array<int64_t, 3>> grids,
                           int64_t image_token_id, int64_t merge_size);

/// M-RoPE of positions [3, T]: frequency i uses t, h or w by mrope_section, in blocks or interleaved; float32 angles
/// (float64 for a float64 model), then cast to `dtype`.
Rotary mrope(const at::Tensor& positions_3T, const TextConfig& config, at::ScalarType dtype);

/// 2-D rotary of the vision tower for all patches of all grids in merge-block order, float32 (float64 for a float64
/// model).
Rotary vision_rope(std::span<const std::array<int64_t, 3>> grids, const VisionConfig& config, at::ScalarType dtype,
                   const at::Device& device);

/// x cos + rotate_half(x) sin for x [T, heads, head_dim], in the dtype of x.
at::Tensor rotate(const at::Tensor& x_THD, const Rotary& rotary);

}  // namespace lriad

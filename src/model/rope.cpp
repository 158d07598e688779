#include "lriad/model/rope.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/kernels/operators.h"
#include "lriad/model/accumulate_dtype.h"
#include "merge_blocks.h"

// Shape letters: T tokens or patches, H heads, D head size.
namespace lriad {
namespace {

at::Tensor inverse_frequencies(double theta, int64_t dim, const at::TensorOptions& options) {
  return 1.0 / at::pow(theta, at::arange(0, dim, 2, options) / static_cast<double>(dim));
}

/// Of the angles on each axis those that the sections choose for each frequency: in blocks, or t h w t h w ..., where h
/// and w end after as many turns as their sections say and t takes what remains.
at::Tensor by_section(const at::Tensor& angles_3TF, const TextConfig& config) {
  if (config.mrope_interleaved) {
    at::Tensor half_TF = angles_3TF[0].clone();
    for (const int64_t axis : {1, 2}) {
      const int64_t end = 3 * config.mrope_section[static_cast<std::size_t>(axis)];
      half_TF.slice(-1, axis, end, 3).copy_(angles_3TF[axis].slice(-1, axis, end, 3));
    }
    return half_TF;
  }
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int64_t end = begin + config.mrope_section[axis];
    parts.push_back(angles_3TF[static_cast<int64_t>(axis)].slice(-1, begin, end));
    begin = end;
  }
  return at::cat(parts, -1);
}

/// By our kernel. The gradient is rotated back.
struct RotateFunction : torch::autograd::Function<RotateFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_THD,
                            const at::Tensor& cos_TD, const at::Tensor& sin_TD) {
    context->save_for_backward({cos_TD, sin_TD});
    return rotated(x_THD, cos_TD, sin_TD, /*back=*/false);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    return {rotated(gradients[0], saved[0], saved[1], /*back=*/true), at::Tensor(), at::Tensor()};
  }

  static at::Tensor rotated(const at::Tensor& x_THD, const at::Tensor& cos_TD, const at::Tensor& sin_TD, bool back) {
    const at::Tensor x = x_THD.contiguous(), result = at::empty_like(x);
    operators::rotate(x, cos_TD.contiguous(), sin_TD.contiguous(), back, result);
    return result;
  }
};

}  // namespace

at::Tensor mrope_positions(std::span<const int64_t> ids, std::span<const std::array<int64_t, 3>> grids,
                           int64_t image_token_id, int64_t merge_size) {
  const auto length = static_cast<int64_t>(ids.size());
  at::Tensor positions_3T = at::empty({3, length}, at::kLong);
  auto at_axis = positions_3T.accessor<int64_t, 2>();
  int64_t row = 0, current = 0;
  std::size_t image = 0;
  while (row < length) {
    if (ids[static_cast<std::size_t>(row)] != image_token_id) {
      for (int64_t axis = 0; axis < 3; ++axis) at_axis[axis][row] = current;
      ++row, ++current;
      continue;
    }
    require(image < grids.size(), "model", "the prompt has image tokens for more than ", grids.size(), " images");
    const auto [t, h, w] = grids[image++];
    const int64_t rows = h / merge_size, columns = w / merge_size;
    require(row + t * rows * columns <= length, "model", "the prompt ends inside the tokens of an image");
    for (int64_t k = 0; k < t * rows * columns; ++k, ++row) {
      require(ids[static_cast<std::size_t>(row)] == image_token_id, "model", "an image has too few image tokens");
      at_axis[0][row] = current + k / (rows * columns);
      at_axis[1][row] = current + k / columns % rows;
      at_axis[2][row] = current + k % columns;
    }
    current += std::max(rows, columns);
  }
  require(image == grids.size(), "model", "got ", grids.size(), " images, but the prompt has tokens of ", image);
  return positions_3T;
}

Rotary mrope(const at::Tensor& positions_3T, const TextConfig& config, at::ScalarType dtype) {
  const auto options = at::TensorOptions().dtype(accumulate_dtype(dtype)).device(positions_3T.device());
  const at::Tensor frequencies = inverse_frequencies(config.rope_theta, config.head_dim, options);
  const at::Tensor angles_3TF = positions_3T.to(options.dtype().toScalarType()).unsqueeze(-1) * frequencies;
  const at::Tensor half_TF = by_section(angles_3TF, config);
  const at::Tensor angles_TD = at::cat({half_TF, half_TF}, -1);
  return {angles_TD.cos().to(dtype), angles_TD.sin().to(dtype)};
}

Rotary vision_rope(std::span<const std::array<int64_t, 3>> grids, const VisionConfig& config, at::ScalarType dtype,
                   const at::Device& device) {
  const auto options = at::TensorOptions().dtype(accumulate_dtype(dtype)).device(device);
  const int64_t merge = config.spatial_merge_size;
  const at::Tensor frequencies =
      inverse_frequencies(config.rope_theta, config.embed_dim / config.num_heads / 2, options);
  std::vector<at::Tensor> parts;
  for (const auto& grid : grids) {
    const at::Tensor row = block_order(at::arange(grid[1], options).unsqueeze(1), grid, merge);
    const at::Tensor column = block_order(at::arange(grid[2], options).unsqueeze(0), grid, merge);
    parts.push_back(at::cat({row.unsqueeze(1) * frequencies, column.unsqueeze(1) * frequencies}, -1));
  }
  const at::Tensor half_TF = at::cat(parts);
  const at::Tensor angles_TD = at::cat({half_TF, half_TF}, -1);
  return {angles_TD.cos(), angles_TD.sin()};
}

at::Tensor rotate(const at::Tensor& x_THD, const Rotary& rotary) {
  if (operators::serve(x_THD.device()) && x_THD.scalar_type() == rotary.cos_TD.scalar_type())
    return RotateFunction::apply(x_THD, rotary.cos_TD, rotary.sin_TD);
  const int64_t half = x_THD.size(-1) / 2;
  const at::Tensor turned = at::cat({-x_THD.slice(-1, half), x_THD.slice(-1, 0, half)}, -1);
  return x_THD * rotary.cos_TD.unsqueeze(1) + turned * rotary.sin_TD.unsqueeze(1);
}

}  // namespace lriad

// Bicubic resizing, bit-equal to Pillow's Resample.c and to the uint8 kernel of torchvision. Compiled without floating-point
// contraction: a fused multiply-add changes some weights.
#include <algorithm>
#include <cmath>

#include "lriad/vision/image_processor.h"

namespace lriad {
namespace {

/// Integer weights of one axis: output i takes inputs first[i] .. first[i] + count[i].
struct Axis {
  std::vector<int64_t> first, count;
  std::vector<int32_t> weights;  ///< [out, stride]
  std::size_t stride = 0;
  int precision = 22;
};

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// torchvision: the most bits with which the largest weight still fits 16 bits (ATen, _compute_indices_int16_weights_aa).
int int16_precision(const std::vector<double>& weights) {
  const double largest = std::max(0.0, *std::max_element(weights.begin(), weights.end()));
  int precision = 0;
  while (precision < 22 && static_cast<int64_t>(0.5 + largest * static_cast<double>(int64_t{1} << (precision + 1))) < (1 << 15)) {
    ++precision;
  }
  return precision;
}

Axis make_axis(int64_t in, int64_t out, ResizeBackend backend) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = 2 * std::max(scale, 1.0), inverse = 1 / std::max(scale, 1.0);
  Axis axis;
  axis.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  std::vector<double> weights(static_cast<std::size_t>(out) * axis.stride);
  for (int64_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto low = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    const auto high = std::min(in, static_cast<int64_t>(center + support + 0.5));
    double* row = weights.data() + static_cast<std::size_t>(i) * axis.stride;
    double sum = 0;
    for (int64_t j = 0; j < high - low; ++j) {
      row[j] = cubic((static_cast<double>(j + low) - center + 0.5) * inverse);
      sum += row[j];
    }
    for (int64_t j = 0; j < high - low && sum != 0; ++j) row[j] /= sum;
    axis.first.push_back(low);
    axis.count.push_back(high - low);
  }
  if (backend == ResizeBackend::kTorchvision) axis.precision = int16_precision(weights);
  const double unit = static_cast<double>(int64_t{1} << axis.precision);
  for (const double w : weights) axis.weights.push_back(static_cast<int32_t>(w < 0 ? -0.5 + w * unit : 0.5 + w * unit));
  return axis;
}

uint8_t to_byte(int32_t sum, int precision) { return static_cast<uint8_t>(std::clamp(sum >> precision, 0, 255)); }

Image resize_width(const Image& in, int64_t width, ResizeBackend backend) {
  const Axis axis = make_axis(in.width, width, backend);
  Image out{in.height, width, std::vector<uint8_t>(static_cast<std::size_t>(in.height * width * 3))};
  for (int64_t y = 0; y < in.height; ++y) {
    const uint8_t* row = in.rgb.data() + y * in.width * 3;
    uint8_t* target = out.rgb.data() + y * width * 3;
    for (int64_t x = 0; x < width; ++x, target += 3) {
      const auto i = static_cast<std::size_t>(x);
      const int32_t* weight = axis.weights.data() + i * axis.stride;
      const uint8_t* source = row + axis.first[i] * 3;
      int32_t sums[3];
      std::fill_n(sums, 3, axis.precision > 0 ? 1 << (axis.precision - 1) : 0);
      for (int64_t j = 0; j < axis.count[i]; ++j, source += 3) {
        for (int c = 0; c < 3; ++c) sums[c] += source[c] * weight[j];
      }
      for (int c = 0; c < 3; ++c) target[c] = to_byte(sums[c], axis.precision);
    }
  }
  return out;
}

Image resize_height(const Image& in, int64_t height, ResizeBackend backend) {
  const Axis axis = make_axis(in.height, height, backend);
  const auto row_bytes = static_cast<std::size_t>(in.width * 3);
  Image out{height, in.width, std::vector<uint8_t>(static_cast<std::size_t>(height) * row_bytes)};
  std::vector<int32_t> sums(row_bytes);
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    std::fill(sums.begin(), sums.end(), axis.precision > 0 ? 1 << (axis.precision - 1) : 0);
    for (int64_t j = 0; j < axis.count[y]; ++j) {
      const int32_t weight = axis.weights[y * axis.stride + static_cast<std::size_t>(j)];
      const uint8_t* source = in.rgb.data() + static_cast<std::size_t>(axis.first[y] + j) * row_bytes;
      for (std::size_t k = 0; k < row_bytes; ++k) sums[k] += source[k] * weight;
    }
    for (std::size_t k = 0; k < row_bytes; ++k) out.rgb[y * row_bytes + k] = to_byte(sums[k], axis.precision);
  }
  return out;
}

}  // namespace

Image resize_bicubic(const Image& image, int64_t height, int64_t width, ResizeBackend backend) {
  // Pillow 12.3 shrinks very tall pictures in height first; 13.0 does so for more shapes, by a rule not followed here, which
  // moves some of those pictures' samples by a level.
  const bool height_first = backend == ResizeBackend::kPil && image.height > 100 * image.width && height < image.height;
  Image result = image;
  if (height_first) result = resize_height(result, height, backend);
  if (width != result.width) result = resize_width(result, width, backend);
  if (height != result.height) result = resize_height(result, height, backend);
  return result;
}

}  // namespace lriad

// Bicubic resizing, bit-equal to Pillow's Resample.c and to the uint8 kernel of torchvision. Compiled without
// floating-point contraction: a fused multiply-add changes some weights.
#include <algorithm>
#include <cmath>
#include <cstring>

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

/// torchvision: the most bits with which the largest weight still fits 16 bits (ATen,
/// _compute_indices_int16_weights_aa).
int int16_precision(const std::vector<double>& weights) {
  const double largest = std::max(0.0, *std::max_element(weights.begin(), weights.end()));
  int precision = 0;
  while (precision < 22 &&
         static_cast<int64_t>(0.5 + largest * static_cast<double>(int64_t{1} << (precision + 1))) < (1 << 15)) {
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

// One function per instruction set, picked when the program starts; before the thread sanitizer has started, too.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define LRIAD_VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define LRIAD_VECTORISED
#endif

constexpr int64_t kLanes = 48;     // samples summed side by side: 16 pixels
constexpr int64_t kTileRows = 16;  // rows that make up a step of kLanes in the horizontal pass

/// out[k] = the weighted sum over j < count of source[j * step + k], rounded, shifted and clamped, for kLanes values of
/// k.
__attribute__((always_inline)) inline void weigh(const uint8_t* source, int64_t step, const int32_t* weights,
                                                 int64_t count, int precision, uint8_t* out) {
  int32_t sums[kLanes];
  for (int64_t k = 0; k < kLanes; ++k) sums[k] = precision > 0 ? 1 << (precision - 1) : 0;
  for (int64_t j = 0; j < count; ++j, source += step) {
    const int32_t weight = weights[j];
    for (int64_t k = 0; k < kLanes; ++k) sums[k] += source[k] * weight;
  }
  for (int64_t k = 0; k < kLanes; ++k) out[k] = static_cast<uint8_t>(std::clamp(sums[k] >> precision, 0, 255));
}

/// Rows first_row .. first_row + rows of the image, all of whose pixels of one column stand together: [width, 8 rows,
/// 3].
void gather_tile(const Image& in, int64_t first_row, int64_t rows, std::vector<uint8_t>& tile) {
  for (int64_t r = 0; r < rows; ++r) {
    const uint8_t* source = in.rgb.data() + (first_row + r) * in.width * 3;
    uint8_t* target = tile.data() + r * 3;
    for (int64_t x = 0; x < in.width; ++x) std::memcpy(target + x * kLanes, source + x * 3, 3);
  }
}

LRIAD_VECTORISED void resize_tile(const uint8_t* tile, const Axis& axis, int64_t rows, uint8_t* out,
                                  int64_t row_bytes) {
  const auto width = static_cast<int64_t>(axis.first.size());
  uint8_t column[kLanes];
  for (int64_t x = 0; x < width; ++x) {
    const auto i = static_cast<std::size_t>(x);
    weigh(tile + axis.first[i] * kLanes, kLanes, axis.weights.data() + i * axis.stride, axis.count[i], axis.precision,
          column);
    for (int64_t r = 0; r < rows; ++r) std::memcpy(out + r * row_bytes + x * 3, column + r * 3, 3);
  }
}

/// One row of the vertical pass; row_bytes >= kLanes. The last step overlaps the one before.
LRIAD_VECTORISED void resize_row(const uint8_t* source, int64_t row_bytes, const int32_t* weights, int64_t count,
                                 int precision, uint8_t* out) {
  for (int64_t k = 0; k < row_bytes; k += kLanes) {
    const int64_t at = std::min(k, row_bytes - kLanes);
    weigh(source + at, row_bytes, weights, count, precision, out + at);
  }
}

Image resize_width(const Image& in, int64_t width, ResizeBackend backend) {
  const Axis axis = make_axis(in.width, width, backend);
  Image out{in.height, width, std::vector<uint8_t>(static_cast<std::size_t>(in.height * width * 3))};
  std::vector<uint8_t> tile(static_cast<std::size_t>(in.width * kLanes));
  for (int64_t y = 0; y < in.height; y += kTileRows) {
    const int64_t rows = std::min(kTileRows, in.height - y);
    gather_tile(in, y, rows, tile);
    resize_tile(tile.data(), axis, rows, out.rgb.data() + y * width * 3, width * 3);
  }
  return out;
}

Image resize_height(const Image& in, int64_t height, ResizeBackend backend) {
  const Axis axis = make_axis(in.height, height, backend);
  // Images of fewer than 16 columns are summed in wider rows.
  const int64_t row_bytes = std::max(in.width * 3, kLanes);
  std::vector<uint8_t> padded;
  if (row_bytes != in.width * 3) {
    padded.resize(static_cast<std::size_t>(in.height * row_bytes));
    for (int64_t y = 0; y < in.height; ++y) {
      std::copy_n(in.rgb.data() + y * in.width * 3, in.width * 3, padded.data() + y * row_bytes);
    }
  }
  const uint8_t* source = padded.empty() ? in.rgb.data() : padded.data();
  std::vector<uint8_t> row(static_cast<std::size_t>(row_bytes));
  Image out{height, in.width, {}};
  out.rgb.reserve(static_cast<std::size_t>(height * in.width * 3));
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    resize_row(source + axis.first[y] * row_bytes, row_bytes, axis.weights.data() + y * axis.stride, axis.count[y],
               axis.precision, row.data());
    out.rgb.insert(out.rgb.end(), row.begin(), row.begin() + in.width * 3);
  }
  return out;
}

/// Pillow from 12.3 on takes the height first where that saves more than twice what the width would; its rule was found
/// by trying shapes and holds for all 3,900 or so tried with Pillow 13.0.
bool height_first(const Image& image, int64_t height, int64_t width, ResizeBackend backend) {
  const int64_t rows_saved = image.height - height, columns_saved = image.width - width;
  return backend == ResizeBackend::kPil && rows_saved > 0 && rows_saved > 2 * columns_saved;
}

}  // namespace

Image resize_bicubic(const Image& image, int64_t height, int64_t width, ResizeBackend backend) {
  if (image.height == height && image.width == width) return image;
  if (image.width == width) return resize_height(image, height, backend);
  if (image.height == height) return resize_width(image, width, backend);
  if (height_first(image, height, width, backend)) {
    return resize_width(resize_height(image, height, backend), width, backend);
  }
  return resize_height(resize_width(image, width, backend), height, backend);
}

}  // namespace lriad

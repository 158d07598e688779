#include "lriad/eval/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/image_processor.h"
#include "lriad/vision/write_png.h"
#include "ranking.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr double kHiddenShare = 0.1;
constexpr double kHitShare = 0.05;
constexpr double kOverlayStrength = 0.7;
constexpr std::array<double, 3> kWeak = {255, 210, 60}, kStrong = {215, 25, 28};  // yellow, red

/// Where a pixel lies between the centres of two neighbouring cells.
struct Between {
  int64_t low = 0, high = 0;
  double weight = 0;  ///< of `high`
};

std::vector<Between> between_cells(int64_t pixels, int64_t cells) {
  const double step = static_cast<double>(cells) / static_cast<double>(pixels);
  std::vector<Between> all;
  for (int64_t i = 0; i < pixels; ++i) {
    const double inside = std::max(step * (static_cast<double>(i) + 0.5) - 0.5, 0.0);
    const auto low = std::min(static_cast<int64_t>(inside), cells - 1);
    all.push_back({low, std::min(low + 1, cells - 1), inside - static_cast<double>(low)});
  }
  return all;
}

Image decode_at_most(const fs::path& path, int64_t max_side) {
  Image image = decode_image(path, ResizeBackend::kPil);
  const int64_t longer = std::max(image.height, image.width);
  if (longer <= max_side) return image;
  const auto shrunk = [&](int64_t side) { return std::max<int64_t>(1, side * max_side / longer); };
  return resize_bicubic(image, shrunk(image.height), shrunk(image.width), ResizeBackend::kPil);
}

double clamped(double value) { return std::clamp(value, 0.0, 1.0); }

}  // namespace

std::vector<double> norm01(std::vector<double> values) {
  if (values.empty()) return values;
  const auto [low, high] = std::ranges::minmax(values);
  for (double& value : values) value = high > low ? (value - low) / (high - low) : 0;
  return values;
}

int64_t num_hidden_cells(int64_t num_cells) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(num_cells) * kHiddenShare));
}

std::vector<int64_t> strongest_cells(const std::vector<double>& cells, int64_t count) {
  std::vector<int64_t> order(cells.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [&](int64_t cell) { return cells[static_cast<size_t>(cell)]; });
  order.resize(static_cast<size_t>(count));
  return order;
}

PixelMap pixels_of(const HeatMap& map, int64_t height, int64_t width) {
  PixelMap pixels{height, width, {}};
  pixels.values.reserve(static_cast<size_t>(height * width));
  const std::vector<Between> columns = between_cells(width, map.columns);
  for (const Between& y : between_cells(height, map.rows)) {
    const auto cell = [&](int64_t row, int64_t column) {
      return map.cells[static_cast<size_t>(row * map.columns + column)];
    };
    for (const Between& x : columns) {
      const auto across = [&](int64_t row) { return (1 - x.weight) * cell(row, x.low) + x.weight * cell(row, x.high); };
      pixels.values.push_back((1 - y.weight) * across(y.low) + y.weight * across(y.high));
    }
  }
  return pixels;
}

std::optional<double> pixel_auroc(const std::vector<double>& values, const std::vector<bool>& defect) {
  std::vector<std::pair<double, bool>> pairs;
  pairs.reserve(values.size());
  // Pixels that are equal but for the rounding of their interpolation stay equal.
  for (size_t i = 0; i < values.size(); ++i) pairs.emplace_back(std::round(values[i] * 1e9) / 1e9, defect[i]);
  return area_under_curve(std::move(pairs));
}

bool hits_defect(const HeatMap& map, int64_t height, int64_t width, const std::vector<bool>& defect) {
  const int64_t strongest = strongest_cells(map.cells, 1).front();
  const auto cell_of = [](int64_t pixel, int64_t pixels, int64_t cells) {
    return (2 * pixel + 1) * cells / (2 * pixels);
  };
  int64_t inside = 0, bad = 0;
  for (int64_t y = 0; y < height; ++y) {
    if (cell_of(y, height, map.rows) != strongest / map.columns) continue;
    for (int64_t x = 0; x < width; ++x) {
      if (cell_of(x, width, map.columns) != strongest % map.columns) continue;
      ++inside;
      bad += defect[static_cast<size_t>(y * width + x)] ? 1 : 0;
    }
  }
  return static_cast<double>(bad) > kHitShare * static_cast<double>(inside);
}

void write_overlay(const fs::path& path, const fs::path& image_path, const HeatMap& map, int64_t max_side) {
  Image image = decode_at_most(image_path, max_side);
  const PixelMap pixels = pixels_of(map, image.height, image.width);
  const double most = std::max(*std::ranges::max_element(map.cells), 1e-12);
  for (size_t i = 0; i < pixels.values.size(); ++i) {
    const double value = clamped(pixels.values[i] / most), alpha = kOverlayStrength * std::sqrt(value);
    uint8_t* rgb = &image.rgb[3 * i];
    const double gray = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    for (size_t c = 0; c < 3; ++c) {
      const double heat = kWeak[c] + value * (kStrong[c] - kWeak[c]);
      rgb[c] = static_cast<uint8_t>(std::lround((1 - alpha) * gray + alpha * heat));
    }
  }
  make_folder("eval", path.parent_path());
  write_png(path, image);
}

}  // namespace lriad

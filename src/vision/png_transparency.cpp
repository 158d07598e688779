#include "png_transparency.h"

#include <array>
#include <cstdint>
#include <optional>

namespace lriad {
namespace {

using Colour = std::array<uint8_t, 3>;

constexpr std::string_view kMagic = "\x89PNG\r\n\x1a\n";
constexpr std::size_t kFirstChunk = 8, kChunkFrame = 12;  // length, type and checksum around a chunk's data
constexpr uint8_t kGray = 0, kRgb = 2, kPalette = 3;      // colour types of IHDR

uint64_t number(std::string_view bytes, std::size_t at, std::size_t length) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < length; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

/// Data of the first chunk of that type before the pixels.
std::string_view chunk(std::string_view file, std::string_view type) {
  for (std::size_t at = kFirstChunk; at + kChunkFrame <= file.size();) {
    const uint64_t length = number(file, at, 4);
    const std::string_view found = file.substr(at + 4, 4);
    if (length > file.size() - at - kChunkFrame || found == "IDAT") break;
    if (found == type) return file.substr(at + 8, length);
    at += kChunkFrame + length;
  }
  return {};
}

/// Pillow knows one transparent palette colour only where all others are opaque.
std::optional<Colour> palette_colour(std::string_view alphas, std::string_view palette) {
  const std::size_t index = alphas.find('\0');
  if (index == std::string_view::npos || 3 * index + 3 > palette.size()) return std::nullopt;
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    if (i != index && alphas[i] != '\xFF') return std::nullopt;
  }
  const auto part = [&](std::size_t i) { return static_cast<uint8_t>(palette[3 * index + i]); };
  return Colour{part(0), part(1), part(2)};
}

/// Samples of the chunk stand for themselves, even where gray of fewer bits is stretched to 8 or 16 bits are cut to 8.
/// Gray of 1 or 16 bits keeps its number when Pillow turns it into colour, where it means a red: only black fits.
std::optional<Colour> sample_colour(std::string_view samples, uint8_t type, uint8_t bits) {
  Colour colour = {};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t at = type == kRgb ? 2 * i : 0;
    if (at + 2 > samples.size()) return std::nullopt;
    const uint64_t value = number(samples, at, 2);
    const bool only_black = type == kGray && (bits == 1 || bits == 16);
    if (value > 255 || (only_black && value != 0)) return std::nullopt;
    colour[i] = static_cast<uint8_t>(value);
  }
  return colour;
}

std::optional<Colour> transparent_colour(std::string_view file) {
  const std::string_view header = chunk(file, "IHDR"), transparency = chunk(file, "tRNS");
  if (header.size() != 13 || transparency.empty()) return std::nullopt;
  const auto bits = static_cast<uint8_t>(header[8]), type = static_cast<uint8_t>(header[9]);
  if (type == kPalette) return palette_colour(transparency, chunk(file, "PLTE"));
  if (type == kGray || type == kRgb) return sample_colour(transparency, type, bits);
  return std::nullopt;
}

}  // namespace

void whiten_transparent_colour(std::string_view bytes, Image& image) {
  if (!bytes.starts_with(kMagic)) return;
  if (const std::optional<Colour> colour = transparent_colour(bytes)) whiten_colour(*colour, image);
}

void whiten_colour(const std::array<uint8_t, 3>& colour, Image& image) {
  for (std::size_t at = 0; at + 3 <= image.rgb.size(); at += 3) {
    uint8_t* pixel = image.rgb.data() + at;
    if (pixel[0] == colour[0] && pixel[1] == colour[1] && pixel[2] == colour[2]) {
      pixel[0] = pixel[1] = pixel[2] = 255;
    }
  }
}

}  // namespace lriad

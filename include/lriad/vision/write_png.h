#pragma once

#include <filesystem>
#include <string>

#include "lriad/vision/image_processor.h"

namespace lriad {

/// The image as an 8-bit RGB PNG file without any metadata: equal images give equal bytes. Throws Error for an
/// empty image.
std::string encode_png(const Image& image);

/// Writes encode_png() to a file, which a failure leaves as it was. Throws Error naming the path.
void write_png(const std::filesystem::path& path, const Image& image);

/// 8-bit gray image, rows top to bottom.
struct GrayImage {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> levels;
};

/// Writes a gray image as write_png() does.
void write_gray_png(const std::filesystem::path& path, const GrayImage& image);

/// A small copy of an image for a web page.
struct Thumbnail {
  std::string bytes;      ///< content of the image file
  std::string extension;  ///< ".png" if the image is small enough to be kept as it is, else ".jpg"
  int64_t width = 0;
  int64_t height = 0;
};

/// Largest thumbnail, in bytes.
inline constexpr int64_t kMaxThumbnailBytes = 20'000;

/// Decodes the file (EXIF rotation applied) and shrinks it by area averaging, so that its longer side is at most
/// `max_side` pixels; smaller images are not changed if they fit kMaxThumbnailBytes. To keep to those, the quality of
/// the JPEG is lowered, then its size. Throws Error as decode_image().
Thumbnail make_thumbnail(const std::filesystem::path& path, int64_t max_side);

}  // namespace lriad

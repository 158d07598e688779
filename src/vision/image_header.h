#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "image_source.h"

namespace lriad {

enum class ImageFormat { kPng, kJpeg, kBmp, kTiff, kWebp, kGif };

/// What an image file says about itself before any pixel is decoded.
struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  uint64_t width = 0;  ///< as stored, before any rotation
  uint64_t height = 0;
  int components = 3;           ///< of a JPEG or TIFF
  int orientation = 1;          ///< EXIF 0x0112: 1..8
  int photometric = 2;          ///< of a TIFF: 0 and 1 gray, 2 RGB, 3 palette, others are not decoded as Pillow does
  int bits = 8;                 ///< of a TIFF's sample
  int compression = 1;          ///< of a TIFF: 7 is JPEG
  int alpha = 0;                ///< of a TIFF: 1 if colours are multiplied with alpha, 2 if not
  uint64_t orientation_at = 0;  ///< of a TIFF: where the tag's value stands in the file; 0 if it has none
  uint64_t alpha_at = 0;
  bool big_endian = false;
  bool sideways() const { return orientation >= 5; }
};

/// Reads the header by seeking, so that large files cost little; the orientation comes from EXIF data, else from XMP
/// data, as Pillow's getexif() finds them. Throws Error naming the file if it is missing, of another format, cut off,
/// or says a size of 0 or of more than 178,956,970 pixels (Pillow's limit against decompression bombs).
ImageHeader read_image_header(const std::filesystem::path& path);

/// Of files that begin as WebP or GIF files do; null if they are cut off or damaged.
std::optional<ImageHeader> webp_header(const ImageSource& source);
std::optional<ImageHeader> gif_header(const ImageSource& source);

}  // namespace lriad

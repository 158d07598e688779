#pragma once

#include <cstdint>
#include <filesystem>

namespace lriad {

enum class ImageFormat { kPng, kJpeg, kBmp, kTiff };

/// What a picture file says about itself before any pixel is decoded.
struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  uint64_t width = 0;  ///< as stored, before any rotation
  uint64_t height = 0;
  int components = 3;   ///< of a JPEG or TIFF
  int photometric = 2;  ///< of a TIFF: 0, 1 gray, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr
  int orientation = 1;  ///< EXIF 0x0112: 1..8
  bool sideways() const { return orientation >= 5; }
};

/// Reads the header by seeking, so that large files cost little; the orientation comes from EXIF data, else from XMP
/// data, as Pillow's getexif() finds them. Throws Error naming the file if it is missing, of another format, cut off,
/// or says a size of 0 or of more than 178,956,970 pixels (Pillow's limit against decompression bombs).
ImageHeader read_image_header(const std::filesystem::path& path);

}  // namespace lriad

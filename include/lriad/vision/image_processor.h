#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// 8-bit RGB image, rows top to bottom, no padding: pixel (y, x, c) at (y * width + x) * 3 + c.
struct Image {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> rgb;
};

/// What a model folder says of its images, limits overridden by the config's `image`.
struct ImageSettings {
  int64_t patch_size = 14;
  int64_t temporal_patch_size = 2;
  int64_t merge_size = 2;
  int64_t min_pixels = 3136;
  int64_t max_pixels = 401408;
  std::array<double, 3> mean = {0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std = {0.26862954, 0.26130258, 0.27577711};
  ResizeBackend backend = ResizeBackend::kPil;
  SixteenBit sixteen_bit = SixteenBit::kSaturate;
};
/// Reads processor_config.json's image_processor, else preprocessor_config.json. Throws Error naming file and key for
/// values out of range or steps that are computed otherwise here, and for a folder without either.
ImageSettings read_image_settings(const std::filesystem::path& model_dir, const ImageSection& section);

/// Patches of one image, the input of the vision tower.
struct Patches {
  std::vector<float> values;                ///< [grid[0] * grid[1] * grid[2], 3 * temporal * patch * patch], row-major
  std::array<int64_t, 3> grid = {0, 0, 0};  ///< t, h, w in patches
  int64_t tokens(int64_t merge_size = 2) const { return grid[0] * grid[1] * grid[2] / (merge_size * merge_size); }
};

/// Decodes PNG, JPEG, BMP or TIFF of any mode as Pillow's convert("RGB") does; EXIF rotation is applied for the pil
/// backend only. Refuses images of more than 178,956,970 pixels (Pillow's bomb limit) before decoding. Throws Error
/// naming the file if it is missing, damaged, truncated or of another format.
Image decode_image(const std::filesystem::path& path, ResizeBackend backend,
                   SixteenBit sixteen_bit = SixteenBit::kSaturate);

/// Height and width of the image that decode_image() would return, read from the file's header alone. Throws Error for
/// files that are missing, of another format, or cut off within their headers.
std::array<int64_t, 2> image_size(const std::filesystem::path& path, ResizeBackend backend);

/// Height and width after resizing: multiples of `factor`, area within the limits. Throws Error at an aspect ratio over
/// 200. Source: image_processing_qwen2_vl.py, smart_resize.
std::array<int64_t, 2> smart_resize(int64_t height, int64_t width, int64_t factor, int64_t min_pixels,
                                    int64_t max_pixels);

/// Bicubic resize to uint8, bit-equal to Pillow (pil) or torchvision's antialiased uint8 kernel (torchvision).
Image resize_bicubic(const Image& image, int64_t height, int64_t width, ResizeBackend backend);

/// Rescale, normalise and cut into merge-block-ordered patches. Source: transformers,
/// Qwen2VLImageProcessor._preprocess.
Patches make_patches(const Image& resized, const ImageSettings& settings);

/// All steps from file to patches: decode_image, smart_resize, resize_bicubic, make_patches.
Patches process_image(const std::filesystem::path& path, const ImageSettings& settings);

}  // namespace lriad

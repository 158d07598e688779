#include <algorithm>
#include <iostream>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "decode_formats.h"
#include "image_header.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/image_processor.h"
#include "png_transparency.h"
#include "warn_once.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxFile = 1ull << 30;

/// Refuses what OpenCV would decode otherwise than Pillow: JPEG files without their end, and colours other than gray,
/// RGB and palette.
void check_kind(const std::string& name, std::string_view bytes, const ImageHeader& header) {
  if (header.format == ImageFormat::kJpeg) {
    if (bytes.rfind("\xFF\xD9") == std::string_view::npos) fail("vision", name, ": the file is cut off");
  }
  if (header.format != ImageFormat::kTiff) return;
  constexpr int kYcc = 6, kJpegCompression = 7;
  if (header.photometric > 3 && (header.photometric != kYcc || header.compression != kJpegCompression)) {
    fail("vision", name, ": a TIFF in CMYK, Lab or another colour space (PhotometricInterpretation ",
         header.photometric, "), expected gray, RGB or palette: convert it first");
  }
  if (header.bits != 1 && header.bits != 8 && header.bits != 16) {
    fail("vision", name, ": a TIFF of ", header.bits, " bits a sample, expected 1, 8 or 16: convert it first");
  }
}

/// Makes the decoder leave orientation and alpha of a TIFF alone: it would turn by its own rules and multiply with
/// alpha.
void neutralise_tags(std::string& bytes, const ImageHeader& header) {
  for (const uint64_t at : {header.orientation_at, header.alpha_at}) {
    if (at == 0 || at + 4 > bytes.size()) continue;
    bytes.replace(at, 2, header.big_endian ? std::string("\0\1", 2) : std::string("\1\0", 2));
  }
}

/// Gray of 16 bits in 8. Pillow lets it saturate, which turns nearly every image of an industrial camera white.
cv::Mat eight_bits(const std::string& name, const cv::Mat& gray, SixteenBit sixteen_bit) {
  cv::Mat result(gray.rows, gray.cols, CV_8UC1);
  int64_t saturated = 0;
  for (int y = 0; y < gray.rows; ++y) {
    for (int x = 0; x < gray.cols; ++x) {
      const uint16_t value = gray.ptr<uint16_t>(y)[x];
      if (value > 255) ++saturated;
      const int kept = sixteen_bit == SixteenBit::kScale ? value >> 8 : std::min<int>(value, 255);
      result.ptr<uint8_t>(y)[x] = static_cast<uint8_t>(kept);
    }
  }
  if (sixteen_bit == SixteenBit::kSaturate && saturated > 0) {
    warn_once(name, concat("holds gray of 16 bits; ", saturated, " of its ", gray.total(),
                           " pixels are above 255 and become white; image.sixteen_bit: scale keeps their high byte"));
  }
  return result;
}

/// One sample as Pillow's convert("RGB") takes it: colour of 16 bits keeps its high byte.
uint8_t sample(const cv::Mat& mat, int y, int x, int channel) {
  if (mat.depth() == CV_8U) return mat.ptr<uint8_t>(y)[x * mat.channels() + channel];
  return static_cast<uint8_t>(mat.ptr<uint16_t>(y)[x * mat.channels() + channel] >> 8);
}

Image to_rgb(const cv::Mat& mat) {
  Image image{mat.rows, mat.cols,
              std::vector<uint8_t>(static_cast<std::size_t>(mat.rows) * static_cast<std::size_t>(mat.cols) * 3)};
  uint8_t* target = image.rgb.data();
  for (int y = 0; y < mat.rows; ++y) {
    for (int x = 0; x < mat.cols; ++x) {
      for (int c = 2; c >= 0; --c) *target++ = sample(mat, y, x, mat.channels() == 1 ? 0 : c);
    }
  }
  return image;
}

/// Divides by alpha where a file holds colours multiplied with it, as Pillow does.
void divide_by_alpha(cv::Mat& mat) {
  for (int y = 0; y < mat.rows; ++y) {
    for (uint8_t* pixel = mat.ptr<uint8_t>(y); pixel != mat.ptr<uint8_t>(y) + mat.cols * 4; pixel += 4) {
      const int alpha = pixel[3];
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(alpha == 0 ? 0 : std::min(255, pixel[c] * 255 / alpha));
    }
  }
}

/// Keeps std::cerr still for its lifetime: OpenCV writes there what it also throws. Counted, as threads decode side by
/// side.
class QuietCerr {
 public:
  QuietCerr() {
    const std::lock_guard lock(mutex_);
    if (users_++ == 0) buffer_ = std::cerr.rdbuf(nullptr);
  }
  ~QuietCerr() {
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) std::cerr.rdbuf(buffer_);
  }
  QuietCerr(const QuietCerr&) = delete;
  QuietCerr& operator=(const QuietCerr&) = delete;

 private:
  static inline std::mutex mutex_;
  static inline int users_ = 0;
  static inline std::streambuf* buffer_ = nullptr;
};

/// What OpenCV makes of the file, colours and alpha as stored; empty if it cannot.
cv::Mat decode(std::string& bytes) {
  const QuietCerr quiet;
  try {
    return cv::imdecode(cv::Mat(1, static_cast<int>(bytes.size()), CV_8U, bytes.data()), cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception&) {
    return {};
  }
}

/// The image turned as Pillow's exif_transpose() does for the EXIF orientation.
Image turned(const Image& image, int orientation) {
  const bool sideways = orientation >= 5;
  Image out{sideways ? image.width : image.height, sideways ? image.height : image.width, {}};
  out.rgb.reserve(image.rgb.size());
  // Orientations in which the source's column or row runs backwards along the result's axis.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      const int64_t column = sideways ? y : x, row = sideways ? x : y;
      const int64_t from_x = flip_x ? image.width - 1 - column : column, from_y = flip_y ? image.height - 1 - row : row;
      const uint8_t* pixel = image.rgb.data() + (from_y * image.width + from_x) * 3;
      out.rgb.insert(out.rgb.end(), pixel, pixel + 3);
    }
  }
  return out;
}

/// PNG, BMP and TIFF.
std::optional<Image> decode_by_opencv(const std::string& name, std::string& bytes, const ImageHeader& header,
                                      bool whiten, SixteenBit sixteen_bit) {
  static const bool quiet = [] {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    cv::setNumThreads(1);
    return true;
  }();
  neutralise_tags(bytes, header);
  cv::Mat mat = decode(bytes);
  const bool known = mat.depth() == CV_8U || mat.depth() == CV_16U;
  if (!quiet || mat.empty() || !known || mat.channels() == 2) return std::nullopt;
  if (header.alpha == 1 && mat.type() == CV_8UC4) divide_by_alpha(mat);
  if (mat.type() == CV_16UC1) mat = eight_bits(name, mat, sixteen_bit);
  Image image = to_rgb(mat);
  if (whiten) whiten_transparent_colour(bytes, image);
  return image;
}

std::optional<Image> decode_pixels(const std::string& name, std::string& bytes, const ImageHeader& header, bool whiten,
                                   SixteenBit sixteen_bit) {
  switch (header.format) {
    case ImageFormat::kJpeg:
      return decode_jpeg(name, bytes);
    case ImageFormat::kWebp:
      return decode_webp(bytes);
    case ImageFormat::kGif:
      return decode_gif(name, bytes, header, whiten);
    case ImageFormat::kPng:
    case ImageFormat::kBmp:
    case ImageFormat::kTiff:
      return decode_by_opencv(name, bytes, header, whiten, sixteen_bit);
  }
  return std::nullopt;
}

}  // namespace

Image decode_image(const std::filesystem::path& path, ResizeBackend backend, SixteenBit sixteen_bit) {
  const ImageHeader header = read_image_header(path);
  const std::string name = path.string();
  std::string bytes = read_file("vision", path, kMaxFile);
  check_kind(name, bytes, header);
  const bool as_pillow = backend == ResizeBackend::kPil;
  std::optional<Image> image = decode_pixels(name, bytes, header, as_pillow, sixteen_bit);
  if (!image) fail("vision", name, ": the image is damaged or of a kind that cannot be read");
  return header.orientation != 1 && as_pillow ? turned(*image, header.orientation) : std::move(*image);
}

std::array<int64_t, 2> image_size(const std::filesystem::path& path, ResizeBackend backend) {
  const ImageHeader header = read_image_header(path);
  const auto height = static_cast<int64_t>(header.height), width = static_cast<int64_t>(header.width);
  if (header.sideways() && backend == ResizeBackend::kPil) return {width, height};
  return {height, width};
}

}  // namespace lriad

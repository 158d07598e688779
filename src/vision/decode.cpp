#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string_view>

#include "image_header.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/image_processor.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxFile = 1ull << 30;

/// Files without their end are refused, as Pillow does; OpenCV would fill the rest with gray.
void check_whole(const std::string& name, std::string_view bytes, const ImageHeader& header) {
  const bool whole = header.format != ImageFormat::kJpeg || bytes.rfind("\xFF\xD9") != std::string_view::npos;
  if (!whole) fail("vision", name, ": the file is cut off");
  if (header.format == ImageFormat::kJpeg && header.components == 4) {
    fail("vision", name, ": a CMYK JPEG, expected gray or RGB: convert it first");
  }
}

/// One sample as Pillow's convert("RGB") takes it: gray of 16 bits saturates, colour of 16 bits keeps its high byte.
uint8_t sample(const cv::Mat& mat, int y, int x, int channel) {
  if (mat.depth() == CV_8U) return mat.ptr<uint8_t>(y)[x * mat.channels() + channel];
  const uint16_t value = mat.ptr<uint16_t>(y)[x * mat.channels() + channel];
  return static_cast<uint8_t>(mat.channels() == 1 ? std::min<int>(value, 255) : value >> 8);
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

/// The picture turned as Pillow's exif_transpose() does for the EXIF orientation.
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

}  // namespace

Image decode_image(const std::filesystem::path& path, ResizeBackend backend) {
  static const bool quiet = [] {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    cv::setNumThreads(1);
    return true;
  }();
  const ImageHeader header = read_image_header(path);
  const std::string bytes = read_file("vision", path, kMaxFile), name = path.string();
  if (quiet) check_whole(name, bytes, header);
  cv::Mat mat;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    mat = cv::imdecode(raw, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception&) {
    mat.release();
  }
  const bool known = mat.depth() == CV_8U || mat.depth() == CV_16U;
  if (mat.empty() || !known || mat.channels() == 2)
    fail("vision", name, ": the picture is damaged or of a kind that cannot be read");
  const Image image = to_rgb(mat);
  const bool turns = header.orientation != 1 && backend == ResizeBackend::kPil;
  return turns ? turned(image, header.orientation) : image;
}

std::array<int64_t, 2> image_size(const std::filesystem::path& path, ResizeBackend backend) {
  const ImageHeader header = read_image_header(path);
  const auto height = static_cast<int64_t>(header.height), width = static_cast<int64_t>(header.width);
  if (header.sideways() && backend == ResizeBackend::kPil) return {width, height};
  return {height, width};
}

}  // namespace lriad

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string_view>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/image_processor.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxPixels = 178'956'970;  // Pillow's limit against decompression bombs
constexpr uint64_t kMaxFile = 1ull << 30;

struct Header {
  uint64_t width = 0, height = 0;
  bool jpeg = false;
  int components = 3;
};

uint64_t number(std::string_view bytes, std::size_t at, std::size_t length, bool big_endian) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[at + (big_endian ? i : length - 1 - i)]);
    value = value << 8 | byte;
  }
  return value;
}

/// The first start-of-frame segment of a JPEG file.
std::optional<Header> jpeg_header(std::string_view bytes) {
  std::size_t at = 2;
  while (at + 10 <= bytes.size()) {
    if (bytes[at] != '\xFF') return std::nullopt;
    const auto marker = static_cast<unsigned char>(bytes[at + 1]);
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame) {
      return Header{number(bytes, at + 7, 2, true), number(bytes, at + 5, 2, true), true,
                    static_cast<int>(number(bytes, at + 9, 1, true))};
    }
    at += 2 + number(bytes, at + 2, 2, true);
  }
  return std::nullopt;
}

/// Size from the file's header, read before anything is decoded; null for other formats than PNG, JPEG and BMP.
std::optional<Header> read_header(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n") && bytes.size() >= 33) {
    return Header{number(bytes, 16, 4, true), number(bytes, 20, 4, true)};
  }
  if (bytes.starts_with("\xFF\xD8\xFF")) return jpeg_header(bytes);
  if (bytes.starts_with("BM") && bytes.size() >= 26) {
    const auto height = static_cast<int32_t>(number(bytes, 22, 4, false));
    return Header{number(bytes, 18, 4, false), static_cast<uint64_t>(height < 0 ? -int64_t{height} : height)};
  }
  return std::nullopt;
}

void check_file(const std::string& name, std::string_view bytes, const Header& header) {
  if (header.width == 0 || header.height == 0) fail("vision", name, ": its header gives a size of 0");
  if (header.width > kMaxPixels || header.width * header.height > kMaxPixels) {
    fail("vision", name, ": ", header.width, " x ", header.height, " pixels are more than the ", kMaxPixels, " that are decoded");
  }
  const bool whole = header.jpeg ? bytes.rfind("\xFF\xD9") != std::string_view::npos
                                 : !bytes.starts_with("\x89PNG") || bytes.rfind("IEND") != std::string_view::npos;
  if (!whole) fail("vision", name, ": the file is cut off");
  if (header.jpeg && header.components == 4) fail("vision", name, ": a CMYK JPEG, expected gray or RGB: convert it first");
}

/// One sample as Pillow's convert("RGB") takes it: gray of 16 bits saturates, colour of 16 bits keeps its high byte.
uint8_t sample(const cv::Mat& mat, int y, int x, int channel) {
  if (mat.depth() == CV_8U) return mat.ptr<uint8_t>(y)[x * mat.channels() + channel];
  const uint16_t value = mat.ptr<uint16_t>(y)[x * mat.channels() + channel];
  return static_cast<uint8_t>(mat.channels() == 1 ? std::min<int>(value, 255) : value >> 8);
}

Image to_rgb(const cv::Mat& mat) {
  Image image{mat.rows, mat.cols, std::vector<uint8_t>(static_cast<std::size_t>(mat.rows) * static_cast<std::size_t>(mat.cols) * 3)};
  uint8_t* target = image.rgb.data();
  for (int y = 0; y < mat.rows; ++y) {
    for (int x = 0; x < mat.cols; ++x) {
      for (int c = 2; c >= 0; --c) *target++ = sample(mat, y, x, mat.channels() == 1 ? 0 : c);
    }
  }
  return image;
}

}  // namespace

Image decode_image(const std::filesystem::path& path, ResizeBackend backend) {
  static const bool quiet = [] {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    cv::setNumThreads(1);
    return true;
  }();
  const std::string bytes = read_file("vision", path, kMaxFile), name = path.string();
  const auto header = read_header(bytes);
  if (!header || !quiet) fail("vision", name, ": not a PNG, JPEG or BMP file that can be read");
  check_file(name, bytes, *header);
  // OpenCV turns a JPEG by its EXIF tag only when it may convert colours too; for JPEG that conversion is libjpeg's own.
  const bool turn = header->jpeg && backend == ResizeBackend::kPil;
  cv::Mat mat;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    mat = cv::imdecode(raw, turn ? cv::IMREAD_COLOR : cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception&) {
    mat.release();
  }
  const bool known = mat.depth() == CV_8U || mat.depth() == CV_16U;
  if (mat.empty() || !known || mat.channels() == 2) fail("vision", name, ": the picture is damaged or of a kind that cannot be read");
  return to_rgb(mat);
}

}  // namespace lriad

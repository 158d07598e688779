#include "lriad/vision/write_png.h"

#include <algorithm>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr int kPngLevel = 6;
constexpr int kJpegQuality = 88;

std::string encode(const cv::Mat& bgr, const std::string& extension, const std::vector<int>& options) {
  std::vector<uchar> bytes;
  bool done = false;
  try {
    done = cv::imencode(extension, bgr, bytes, options);
  } catch (const cv::Exception& error) {
    fail("vision", "cannot encode an image as ", extension, ": ", error.what());
  }
  if (!done) fail("vision", "cannot encode an image as ", extension);
  return std::string(bytes.begin(), bytes.end());
}

cv::Mat to_bgr(const Image& image) {
  require(image.height > 0 && image.width > 0 &&
              image.rgb.size() == static_cast<size_t>(image.height) * static_cast<size_t>(image.width) * 3,
          "vision", "an image of ", image.width, " x ", image.height, " with ", image.rgb.size(), " bytes");
  // OpenCV's header type takes a mutable pointer; cvtColor only reads it.
  const cv::Mat rgb(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                    const_cast<uint8_t*>(image.rgb.data()));
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  return bgr;
}

std::string png_bytes(const cv::Mat& image) { return encode(image, ".png", {cv::IMWRITE_PNG_COMPRESSION, kPngLevel}); }

/// A failure leaves no file.
void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) return;
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  fail("vision", "cannot write ", path.string(), "; is the disk full, or the folder read-only?");
}

}  // namespace

std::string encode_png(const Image& image) { return png_bytes(to_bgr(image)); }

void write_png(const std::filesystem::path& path, const Image& image) { write_bytes(path, encode_png(image)); }

void write_gray_png(const std::filesystem::path& path, const GrayImage& image) {
  require(image.height > 0 && image.width > 0 &&
              image.levels.size() == static_cast<size_t>(image.height) * static_cast<size_t>(image.width),
          "vision", "a gray image of ", image.width, " x ", image.height, " with ", image.levels.size(), " bytes");
  const cv::Mat levels(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC1,
                       const_cast<uint8_t*>(image.levels.data()));
  write_bytes(path, png_bytes(levels));
}

Thumbnail make_thumbnail(const std::filesystem::path& path, int64_t max_side) {
  cv::Mat bgr = to_bgr(decode_image(path, ResizeBackend::kPil));
  const double longer = std::max(bgr.cols, bgr.rows);
  const bool shrinks = longer > static_cast<double>(max_side);
  if (shrinks) {
    const double scale = static_cast<double>(max_side) / longer;
    cv::Mat small;
    cv::resize(bgr, small, cv::Size(std::max(1, cvRound(bgr.cols * scale)), std::max(1, cvRound(bgr.rows * scale))), 0,
               0, cv::INTER_AREA);
    bgr = small;
  }
  Thumbnail thumbnail;
  thumbnail.width = bgr.cols;
  thumbnail.height = bgr.rows;
  thumbnail.extension = shrinks ? ".jpg" : ".png";
  thumbnail.bytes = shrinks ? encode(bgr, ".jpg", {cv::IMWRITE_JPEG_QUALITY, kJpegQuality}) : png_bytes(bgr);
  return thumbnail;
}

}  // namespace lriad

#include "lriad/vision/write_png.h"

#include <algorithm>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr int kPngLevel = 6;

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

cv::Mat shrunk(const cv::Mat& bgr, double scale) {
  cv::Mat small;
  cv::resize(bgr, small, cv::Size(std::max(1, cvRound(bgr.cols * scale)), std::max(1, cvRound(bgr.rows * scale))), 0, 0,
             cv::INTER_AREA);
  return small;
}

/// Sets `bytes` to a JPEG of at most kMaxThumbnailBytes and returns the image that it shows, smaller if need be.
cv::Mat small_jpeg(cv::Mat bgr, std::string& bytes) {
  for (;; bgr = shrunk(bgr, 0.75)) {
    for (const int quality : {88, 75, 60, 45}) {
      bytes = encode(bgr, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
      if (std::ssize(bytes) <= kMaxThumbnailBytes) return bgr;
    }
  }
}

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
  if (shrinks) bgr = shrunk(bgr, static_cast<double>(max_side) / longer);
  Thumbnail thumbnail{shrinks ? "" : png_bytes(bgr), ".png", bgr.cols, bgr.rows};
  if (shrinks || std::ssize(thumbnail.bytes) > kMaxThumbnailBytes) {
    bgr = small_jpeg(bgr, thumbnail.bytes);
    thumbnail = {std::move(thumbnail.bytes), ".jpg", bgr.cols, bgr.rows};
  }
  return thumbnail;
}

}  // namespace lriad

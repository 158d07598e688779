#include "image_header.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/core/error.h"
#include "lriad/core/lfs_pointer.h"
#include "tiff_directory.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxPixels = 178'956'970;
constexpr std::string_view kXmpJpeg = "http://ns.adobe.com/xap/1.0/\0", kXmpPng = "XML:com.adobe.xmp";

constexpr unsigned kTiffWidth = 256, kTiffHeight = 257, kTiffBits = 258, kTiffCompression = 259, kTiffPhotometric = 262,
                   kTiffStripOffsets = 273, kTiffSamples = 277, kTiffStripSizes = 279, kTiffColorMap = 320,
                   kTiffTileOffsets = 324, kTiffTileSizes = 325, kTiffExtraSamples = 338, kTiffXmp = 700;

/// Segments up to the first scan.
std::optional<ImageHeader> jpeg_header(const ImageSource& source) {
  ImageHeader header{ImageFormat::kJpeg};
  OrientationData turn;
  for (uint64_t at = 2;;) {
    const std::string head = source.read(at, 10);
    if (head.size() < 4 || head[0] != '\xFF') return std::nullopt;
    const auto marker = static_cast<unsigned char>(head[1]);
    const uint64_t length = number(head, 2, 2, true);
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker == 0xDA) break;
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC && head.size() == 10) {
      header.height = number(head, 5, 2, true);
      header.width = number(head, 7, 2, true);
      header.components = static_cast<int>(number(head, 9, 1, true));
    } else if (marker == 0xE1 && head.substr(4) == std::string_view("Exif\0\0", 6) && length > 8) {
      if (!turn.exif) turn.exif = TiffDirectory(source, at + 10, length - 8).value(kTiffOrientation);
    } else if (marker == 0xE1 && source.read(at + 4, kXmpJpeg.size()) == kXmpJpeg) {
      if (!turn.xmp) turn.xmp = xmp_orientation(source.read(at + 4, length));
    }
    at += 2 + length;
  }
  header.orientation = turn.value();
  return header;
}

/// All chunks: EXIF data may stand behind the pixels.
std::optional<ImageHeader> png_header(const ImageSource& source) {
  ImageHeader header{ImageFormat::kPng};
  OrientationData turn;
  for (uint64_t at = 8;;) {
    const std::string head = source.read(at, 24);
    if (head.size() < 8) return std::nullopt;
    const uint64_t length = number(head, 0, 4, true);
    const std::string type = head.substr(4, 4);
    if (at == 8) {
      if (type != "IHDR" || length != 13 || head.size() < 24) return std::nullopt;
      header.width = number(head, 8, 4, true);
      header.height = number(head, 12, 4, true);
    } else if (type == "eXIf") {
      turn.exif = TiffDirectory(source, at + 8, length).value(kTiffOrientation);
    } else if (type == "iTXt" && length < 1 << 20) {
      const std::string text = source.read(at + 8, length);
      if (text.starts_with(kXmpPng)) turn.xmp = xmp_orientation(text);
    } else if (type == "IEND") {
      break;
    }
    at += 12 + length;
  }
  header.orientation = turn.value();
  return header;
}

std::optional<ImageHeader> bmp_header(const ImageSource& source) {
  const std::string head = source.read(0, 26);
  if (head.size() < 26) return std::nullopt;
  ImageHeader header{ImageFormat::kBmp};
  if (number(head, 14, 4, false) == 12) {  // OS/2: sizes of 16 bits
    header.width = number(head, 18, 2, false);
    header.height = number(head, 20, 2, false);
    return header;
  }
  const auto height = static_cast<int32_t>(number(head, 22, 4, false));
  header.width = number(head, 18, 4, false);
  header.height = static_cast<uint64_t>(height < 0 ? -int64_t{height} : height);
  return header;
}

/// False if pixels or palette lie beyond the end of the file.
bool holds_pixels(const TiffDirectory& tags, uint64_t file_size) {
  const bool tiled = !tags.values(kTiffTileOffsets).empty();
  const auto offsets = tags.values(tiled ? kTiffTileOffsets : kTiffStripOffsets);
  const auto sizes = tags.values(tiled ? kTiffTileSizes : kTiffStripSizes);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (offsets[i] + (i < sizes.size() ? sizes[i] : 0) > file_size) return false;
  }
  const bool palette = tags.value(kTiffPhotometric) == 3;
  const bool small = tags.value(kTiffBits, /*first=*/true).value_or(1) <= 8;
  const uint64_t colours = small ? uint64_t{3} << tags.value(kTiffBits, /*first=*/true).value_or(1) : 0;
  return !offsets.empty() && (!palette || tags.values(kTiffColorMap).size() >= colours);
}

std::optional<ImageHeader> tiff_header(const ImageSource& source) {
  const TiffDirectory tags(source, 0, uint64_t{1} << 32);
  const auto width = tags.value(kTiffWidth), height = tags.value(kTiffHeight);
  if (!tags.whole() || !width || !height || !holds_pixels(tags, source.size())) return std::nullopt;
  ImageHeader header{ImageFormat::kTiff, *width, *height};
  header.components = static_cast<int>(tags.value(kTiffSamples).value_or(1));
  header.photometric = static_cast<int>(tags.value(kTiffPhotometric).value_or(1));
  header.bits = static_cast<int>(tags.value(kTiffBits, /*first=*/true).value_or(1));
  header.compression = static_cast<int>(tags.value(kTiffCompression).value_or(1));
  header.alpha = static_cast<int>(tags.value(kTiffExtraSamples, /*first=*/true).value_or(0));
  header.orientation_at = tags.place(kTiffOrientation);
  header.alpha_at = tags.place(kTiffExtraSamples);
  header.big_endian = tags.big_endian();
  header.orientation = OrientationData{tags.value(kTiffOrientation), xmp_orientation(tags.text(kTiffXmp))}.value();
  return header;
}

std::optional<ImageHeader> header_of(const std::string& name, const ImageSource& source) {
  const std::string magic = source.read(0, 8);
  if (magic == "\x89PNG\r\n\x1a\n") return png_header(source);
  if (magic.starts_with("\xFF\xD8\xFF")) return jpeg_header(source);
  if (magic.starts_with("BM")) return bmp_header(source);
  if (magic.starts_with(std::string_view("II*\0", 4)) || magic.starts_with(std::string_view("MM\0*", 4)))
    return tiff_header(source);
  if (magic.starts_with("GIF8")) return gif_header(source);
  if (source.read(0, 4) == "RIFF" && source.read(8, 4) == "WEBP") return webp_header(source);
  refuse_lfs_pointer("vision", name, source.read(0, 64));
  fail("vision", name, ": not a PNG, JPEG, BMP, TIFF, WebP or GIF file that can be read");
}

}  // namespace

ImageHeader read_image_header(const std::filesystem::path& path) {
  const ImageSource source(path);
  const std::string name = path.string();
  if (!source.regular()) fail("vision", name, " is not a regular file");
  const auto header = header_of(name, source);
  if (!header) fail("vision", name, ": the file is cut off or its header is damaged");
  if (header->width == 0 || header->height == 0) fail("vision", name, ": its header gives a size of 0");
  if (header->width > kMaxPixels || header->height > kMaxPixels || header->width * header->height > kMaxPixels) {
    fail("vision", name, ": ", header->width, " x ", header->height, " pixels are more than the ", kMaxPixels,
         " that are decoded");
  }
  return *header;
}

}  // namespace lriad

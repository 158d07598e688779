#include <algorithm>
#include <string>

#include "image_header.h"
#include "tiff_directory.h"

namespace lriad {
namespace {

/// Size in a chunk of pixels or of the canvas (WebP Container Specification; RFC 9649, 2.7).
bool read_webp_size(const std::string& type, const std::string& data, ImageHeader& header) {
  if (type == "VP8X" && data.size() >= 10) {
    header.width = number(data, 4, 3, false) + 1;
    header.height = number(data, 7, 3, false) + 1;
  } else if (type == "VP8 " && data.size() >= 10 && data.substr(3, 3) == "\x9D\x01\x2A") {
    header.width = number(data, 6, 2, false) & 0x3FFF;
    header.height = number(data, 8, 2, false) & 0x3FFF;
  } else if (type == "VP8L" && data.size() >= 5 && data[0] == '\x2F') {
    const uint64_t bits = number(data, 1, 4, false);
    header.width = (bits & 0x3FFF) + 1;
    header.height = (bits >> 14 & 0x3FFF) + 1;
  }
  return header.width > 0;
}

/// Where the blocks of a GIF file's first image begin, past the header and the extensions; 0 if there is none.
uint64_t first_gif_image(const ImageSource& source, const std::string& screen) {
  const auto flags = static_cast<uint8_t>(screen[10]);
  uint64_t at = 13 + ((flags & 0x80) != 0 ? uint64_t{3} << ((flags & 7) + 1) : 0);
  for (std::string block = source.read(at, 2); block.size() == 2; block = source.read(at, 2)) {
    if (block[0] == ',') return at;
    if (block[0] != '!') return 0;
    at += 2;
    for (std::string length = source.read(at, 1); !length.empty() && length[0] != 0; length = source.read(at, 1)) {
      at += 1 + static_cast<uint8_t>(length[0]);
    }
    ++at;
  }
  return 0;
}

}  // namespace

std::optional<ImageHeader> webp_header(const ImageSource& source) {
  ImageHeader header{ImageFormat::kWebp};
  OrientationData turn;
  const std::string riff = source.read(0, 12);
  const uint64_t end = 8 + number(riff, 4, 4, false);
  if (riff.size() < 12 || end > source.size()) return std::nullopt;
  bool sized = false;
  for (uint64_t at = 12; at + 8 <= end;) {
    const std::string head = source.read(at, 8);
    if (head.size() < 8) return std::nullopt;
    const uint64_t length = number(head, 4, 4, false);
    const std::string type = head.substr(0, 4);
    if (!sized) sized = read_webp_size(type, source.read(at + 8, 10), header);
    if (type == "EXIF") {
      const uint64_t prefix = source.read(at + 8, 6) == std::string("Exif\0\0", 6) ? 6 : 0;
      turn.exif = TiffDirectory(source, at + 8 + prefix, length - std::min(prefix, length)).value(kTiffOrientation);
    } else if (type == "XMP " && length < 1 << 20) {
      turn.xmp = xmp_orientation(source.read(at + 8, length));
    }
    at += 8 + length + length % 2;
  }
  header.orientation = turn.value();
  return sized ? std::optional(header) : std::nullopt;
}

std::optional<ImageHeader> gif_header(const ImageSource& source) {
  const std::string screen = source.read(0, 13);
  if (screen.size() < 13) return std::nullopt;
  const uint64_t at = first_gif_image(source, screen);
  const std::string image = at == 0 ? "" : source.read(at, 10);
  if (image.size() < 10) return std::nullopt;
  ImageHeader header{ImageFormat::kGif};
  // A first image that reaches over the screen enlarges it (Pillow, GifImagePlugin._seek).
  header.width = std::max(number(screen, 6, 2, false), number(image, 1, 2, false) + number(image, 5, 2, false));
  header.height = std::max(number(screen, 8, 2, false), number(image, 3, 2, false) + number(image, 7, 2, false));
  return header;
}

}  // namespace lriad

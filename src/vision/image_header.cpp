#include "image_header.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxPixels = 178'956'970;
constexpr std::string_view kXmpJpeg = "http://ns.adobe.com/xap/1.0/\0", kXmpPng = "XML:com.adobe.xmp";

/// Bytes of a file by position; short where the file ends.
class Source {
 public:
  explicit Source(const std::filesystem::path& path) : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat info {};
    if (file_ < 0) fail("vision", "cannot read ", path.string(), ": ", std::strerror(errno));
    regular_ = ::fstat(file_, &info) == 0 && S_ISREG(info.st_mode);
    size_ = regular_ ? static_cast<uint64_t>(info.st_size) : 0;
  }
  ~Source() { ::close(file_); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  bool regular() const { return regular_; }
  uint64_t size() const { return size_; }

  std::string read(uint64_t at, std::size_t length) const {
    std::string bytes(length, '\0');
    std::size_t done = 0;
    while (done < length && at < uint64_t{1} << 62) {
      const ssize_t got = ::pread(file_, bytes.data() + done, length - done, static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

 private:
  int file_;
  bool regular_ = false;
  uint64_t size_ = 0;
};

uint64_t number(std::string_view bytes, std::size_t at, std::size_t length, bool big_endian) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[at + (big_endian ? i : length - 1 - i)]);
    value = value << 8 | byte;
  }
  return value;
}

/// The first directory of TIFF data (a file, or EXIF data of another format).
class TiffDirectory {
 public:
  TiffDirectory(const Source& source, uint64_t start, uint64_t length) : source_(source), start_(start) {
    const std::string head = source.read(start, 8);
    if (head.size() < 8) return;
    big_ = head.starts_with("MM");
    if ((!big_ && !head.starts_with("II")) || number(head, 2, 2, big_) != 42) return;
    const uint64_t at = number(head, 4, 4, big_);
    if (at >= length) return;
    const std::string count = source.read(start + at, 2);
    entries_at_ = start + at + 2;
    if (count.size() == 2) entries_ = source.read(start + at + 2, 12 * number(count, 0, 2, big_));
    whole_ = count.size() == 2 && entries_.size() == 12 * number(count, 0, 2, big_);
  }
  bool whole() const { return whole_; }

  /// BYTE, SHORT or LONG numbers; empty for other types and for more than a million.
  std::vector<uint64_t> values(unsigned tag) const {
    const auto at = find(tag);
    if (!at) return {};
    const uint64_t type = number(entries_, *at + 2, 2, big_), count = number(entries_, *at + 4, 4, big_);
    const std::size_t size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
    if (size == 0 || count > 1'000'000) return {};
    const bool here = size * count <= 4;
    const std::string bytes =
        here ? entries_.substr(*at + 8, 4) : source_.read(start_ + number(entries_, *at + 8, 4, big_), size * count);
    std::vector<uint64_t> result;
    for (std::size_t i = 0; i < count && (i + 1) * size <= bytes.size(); ++i) {
      result.push_back(number(bytes, i * size, size, big_));
    }
    return result;
  }

  /// The only number of a tag; with `first` the first of several, too.
  std::optional<uint64_t> value(unsigned tag, bool first = false) const {
    const auto all = values(tag);
    return all.empty() || (all.size() > 1 && !first) ? std::nullopt : std::optional(all[0]);
  }

  /// Position in the file of a value of up to 4 bytes; 0 if there is no such tag.
  uint64_t place(unsigned tag) const {
    const auto at = find(tag);
    return at ? entries_at_ + *at + 8 : 0;
  }
  bool big_endian() const { return big_; }

  std::string text(unsigned tag) const {
    const auto at = find(tag);
    if (!at || number(entries_, *at + 4, 4, big_) > 1 << 20) return "";
    return source_.read(start_ + number(entries_, *at + 8, 4, big_), number(entries_, *at + 4, 4, big_));
  }

 private:
  std::optional<std::size_t> find(unsigned tag) const {
    for (std::size_t at = 0; at + 12 <= entries_.size(); at += 12) {
      if (number(entries_, at, 2, big_) == tag) return at;
    }
    return std::nullopt;
  }

  const Source& source_;
  uint64_t start_;
  bool big_ = false;
  uint64_t entries_at_ = 0;
  bool whole_ = false;  // no entry is missing
  std::string entries_;
};

constexpr unsigned kTiffWidth = 256, kTiffHeight = 257, kTiffBits = 258, kTiffCompression = 259, kTiffPhotometric = 262,
                   kTiffStripOffsets = 273, kTiffOrientation = 274, kTiffSamples = 277, kTiffStripSizes = 279,
                   kTiffColorMap = 320, kTiffTileOffsets = 324, kTiffTileSizes = 325, kTiffExtraSamples = 338,
                   kTiffXmp = 700;

int orientation_of(std::optional<uint64_t> value) {
  return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
}

std::optional<uint64_t> xmp_orientation(std::string_view text) {
  for (const std::string_view key : {"tiff:Orientation=\"", "tiff:Orientation>"}) {
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos || at + key.size() >= text.size()) continue;
    const char digit = text[at + key.size()];
    if (digit >= '0' && digit <= '9') return static_cast<uint64_t>(digit - '0');
  }
  return std::nullopt;
}

/// Orientation from the EXIF and XMP data met on the way; EXIF counts first.
struct OrientationData {
  std::optional<uint64_t> exif, xmp;
  int value() const { return orientation_of(exif ? exif : xmp); }
};

/// Segments up to the first scan.
std::optional<ImageHeader> jpeg_header(const Source& source) {
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
std::optional<ImageHeader> png_header(const Source& source) {
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

std::optional<ImageHeader> bmp_header(const Source& source) {
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

std::optional<ImageHeader> tiff_header(const Source& source) {
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

std::optional<ImageHeader> header_of(const std::string& name, const Source& source) {
  const std::string magic = source.read(0, 8);
  if (magic == "\x89PNG\r\n\x1a\n") return png_header(source);
  if (magic.starts_with("\xFF\xD8\xFF")) return jpeg_header(source);
  if (magic.starts_with("BM")) return bmp_header(source);
  if (magic.starts_with(std::string_view("II*\0", 4)) || magic.starts_with(std::string_view("MM\0*", 4)))
    return tiff_header(source);
  fail("vision", name, ": not a PNG, JPEG, BMP or TIFF file that can be read");
}

}  // namespace

ImageHeader read_image_header(const std::filesystem::path& path) {
  const Source source(path);
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

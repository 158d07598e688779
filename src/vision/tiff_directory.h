#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image_source.h"

namespace lriad {

/// The first directory of TIFF data (a file, or EXIF data of another format).
class TiffDirectory {
 public:
  TiffDirectory(const ImageSource& source, uint64_t start, uint64_t length) : source_(source), start_(start) {
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

  const ImageSource& source_;
  uint64_t start_;
  bool big_ = false;
  uint64_t entries_at_ = 0;
  bool whole_ = false;  // no entry is missing
  std::string entries_;
};

/// Orientation from the EXIF and XMP data met on the way; EXIF counts first.
struct OrientationData {
  std::optional<uint64_t> exif, xmp;
  int value() const;  ///< 1..8; 1 where neither gives one of these
};

/// The orientation that XMP data give, as Pillow's getexif() searches for it.
std::optional<uint64_t> xmp_orientation(std::string_view text);

inline constexpr unsigned kTiffOrientation = 274;

}  // namespace lriad

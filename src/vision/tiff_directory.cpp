#include "tiff_directory.h"

namespace lriad {
namespace {

int orientation_of(std::optional<uint64_t> value) {
  return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
}

}  // namespace

std::optional<uint64_t> xmp_orientation(std::string_view text) {
  for (const std::string_view key : {"tiff:Orientation=\"", "tiff:Orientation>"}) {
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos || at + key.size() >= text.size()) continue;
    const char digit = text[at + key.size()];
    if (digit >= '0' && digit <= '9') return static_cast<uint64_t>(digit - '0');
  }
  return std::nullopt;
}

int OrientationData::value() const { return orientation_of(exif ? exif : xmp); }

}  // namespace lriad

#include "decode_formats.h"
#include "lriad/core/error.h"

namespace lriad {

std::optional<Image> decode_gif(const std::string& name, std::string_view, const ImageHeader&, bool) {
  fail("vision", name, " is a GIF file, which this build does not read; build with libgif-dev, or convert it to PNG");
}

}  // namespace lriad

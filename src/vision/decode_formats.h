#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image_header.h"
#include "lriad/vision/image_processor.h"

namespace lriad {

/// The pixels of a whole file as Pillow's convert("RGB") gives them, before any rotation; null if they are damaged.
/// `name` is the file's, for messages.

/// libjpeg with its defaults, as Pillow. Warns once of a file whose data are damaged but can be decoded.
std::optional<Image> decode_jpeg(const std::string& name, std::string_view bytes);

/// The first frame, colours below an alpha channel as they stand.
std::optional<Image> decode_webp(std::string_view bytes);

/// The first frame on the file's screen, its transparent colour turned white as transformers does if `whiten`. Throws
/// Error in a build without giflib.
std::optional<Image> decode_gif(const std::string& name, std::string_view bytes, const ImageHeader& header,
                                bool whiten);

}  // namespace lriad

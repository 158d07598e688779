#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "lriad/vision/image_processor.h"

namespace lriad {

/// Turns white what a PNG file's tRNS chunk makes transparent, if that is one colour: transformers lays such images
/// over white (image_transforms.py, convert_to_rgb), while it takes the colours below an alpha channel, or below a
/// palette of partly transparent colours, as they stand. `bytes`: the whole file; other formats are left alone.
void whiten_transparent_colour(std::string_view bytes, Image& image);

/// Turns all pixels of this colour white.
void whiten_colour(const std::array<uint8_t, 3>& colour, Image& image);

}  // namespace lriad

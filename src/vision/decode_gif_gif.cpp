#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "decode_formats.h"
#include "png_transparency.h"

namespace lriad {
namespace {

using Palette = std::array<std::array<uint8_t, 3>, 256>;

int read_bytes(GifFileType* gif, GifByteType* target, int length) {
  auto& left = *static_cast<std::string_view*>(gif->UserData);
  const std::size_t count = std::min(left.size(), static_cast<std::size_t>(length));
  std::memcpy(target, left.data(), count);
  left.remove_prefix(count);
  return static_cast<int>(count);
}

void close_gif(GifFileType* gif) { DGifCloseFile(gif, nullptr); }

/// Goes to the first image; `transparent` becomes the index that a control block before it names, or -1.
bool find_image(GifFileType* gif, int& transparent) {
  for (GifRecordType type = UNDEFINED_RECORD_TYPE; DGifGetRecordType(gif, &type) == GIF_OK;) {
    if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif) == GIF_OK;
    if (type != EXTENSION_RECORD_TYPE) return false;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) != GIF_OK) return false;
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
      transparent = control.TransparentColor;
    }
    while (block != nullptr) {
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) return false;
    }
  }
  return false;
}

/// Colours that the file leaves out are gray, as in Pillow.
Palette palette_of(const GifFileType& gif) {
  Palette palette;
  for (std::size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<uint8_t>(i));
  const ColorMapObject* map = gif.Image.ColorMap != nullptr ? gif.Image.ColorMap : gif.SColorMap;
  for (int i = 0; map != nullptr && i < std::min(map->ColorCount, 256); ++i) {
    palette[static_cast<std::size_t>(i)] = {map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue};
  }
  return palette;
}

/// The rows of the image in the order in which the file keeps them.
std::vector<int> row_order(const GifImageDesc& image) {
  std::vector<int> rows;
  if (!image.Interlace) {
    for (int y = 0; y < image.Height; ++y) rows.push_back(y);
    return rows;
  }
  for (const auto& [first, step] : {std::pair{0, 8}, std::pair{4, 8}, std::pair{2, 4}, std::pair{1, 2}}) {
    for (int y = first; y < image.Height; y += step) rows.push_back(y);
  }
  return rows;
}

}  // namespace

std::optional<Image> decode_gif(const std::string&, std::string_view bytes, const ImageHeader& header, bool whiten) {
  const std::unique_ptr<GifFileType, void (*)(GifFileType*)> gif(DGifOpen(&bytes, read_bytes, nullptr), close_gif);
  int transparent = NO_TRANSPARENT_COLOR;
  if (!gif || !find_image(gif.get(), transparent)) return std::nullopt;
  const GifImageDesc& frame = gif->Image;
  const auto height = static_cast<int64_t>(header.height), width = static_cast<int64_t>(header.width);
  if (frame.Left + frame.Width > width || frame.Top + frame.Height > height) return std::nullopt;
  std::vector<uint8_t> indices(static_cast<std::size_t>(height * width),
                               static_cast<uint8_t>(std::max(transparent, 0)));
  for (const int y : row_order(frame)) {
    uint8_t* row = indices.data() + (frame.Top + y) * width + frame.Left;
    if (DGifGetLine(gif.get(), row, frame.Width) != GIF_OK) return std::nullopt;
  }
  const Palette palette = palette_of(*gif);
  Image image{height, width, {}};
  image.rgb.reserve(3 * indices.size());
  for (const uint8_t index : indices) image.rgb.insert(image.rgb.end(), palette[index].begin(), palette[index].end());
  if (whiten && transparent >= 0) whiten_colour(palette[static_cast<std::size_t>(transparent)], image);
  return image;
}

}  // namespace lriad

#include <webp/demux.h>

#include <memory>

#include "decode_formats.h"

namespace lriad {

std::optional<Image> decode_webp(std::string_view bytes) {
  const WebPData data = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0) return std::nullopt;
  options.color_mode = MODE_RGBA;
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                             WebPAnimDecoderDelete);
  WebPAnimInfo info;
  uint8_t* rgba = nullptr;
  int timestamp = 0;
  if (!decoder || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0 ||
      WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp) == 0) {
    return std::nullopt;
  }
  Image image{info.canvas_height, info.canvas_width, {}};
  const std::size_t pixels = std::size_t{info.canvas_height} * info.canvas_width;
  image.rgb.reserve(3 * pixels);
  for (std::size_t i = 0; i < pixels; ++i) image.rgb.insert(image.rgb.end(), rgba + 4 * i, rgba + 4 * i + 3);
  return image;
}

}  // namespace lriad

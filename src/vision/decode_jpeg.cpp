#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <vector>
// clang-format off: needs what is above
#include <jpeglib.h>
// clang-format on

#include "decode_formats.h"
#include "lriad/core/error.h"
#include "warn_once.h"

namespace lriad {
namespace {

/// libjpeg reports errors by a call that must not return, which is why a jump leads out of it.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char warning[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr info) { std::longjmp(reinterpret_cast<ErrorManager*>(info->err)->escape, 1); }

/// Keeps the first warning; level -1 means damaged data, others tell what is done.
void note_warning(j_common_ptr info, int level) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  if (level == -1 && errors->base.num_warnings++ == 0) errors->base.format_message(info, errors->warning);
}

class Decompressor {
 public:
  Decompressor() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = note_warning;
  }
  ~Decompressor() { jpeg_destroy_decompress(&info_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  /// Reads the header; false if it is damaged. No object with a destructor may live in here, as errors jump out.
  bool open(const unsigned char* bytes, unsigned long size) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, bytes, size);
    jpeg_read_header(&info_, TRUE);
    const bool four = info_.num_components == 4;
    info_.out_color_space = four ? JCS_CMYK : info_.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&info_);
    return true;
  }

  /// Reads all rows to `samples`, of output_width * output_components bytes each.
  bool read(unsigned char* samples) {
    if (setjmp(errors_.escape) != 0) return false;
    const std::size_t stride = std::size_t{info_.output_width} * static_cast<std::size_t>(info_.output_components);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = samples + info_.output_scanline * stride;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  const jpeg_decompress_struct& info() const { return info_; }
  const char* warning() const { return errors_.base.num_warnings > 0 ? errors_.warning : nullptr; }

 private:
  ErrorManager errors_ = {};
  jpeg_decompress_struct info_ = {};
};

/// Pillow takes every JPEG of four channels for Adobe's, which stores 255 - ink (JpegImagePlugin, rawmode CMYK;I), and
/// divides by 255 with rounding (Convert.c, cmyk2rgb).
uint8_t cmyk_to_rgb(uint8_t stored_ink, uint8_t stored_black) {
  const int product = (255 - stored_ink) * stored_black + 128;
  return static_cast<uint8_t>(stored_black - (((product >> 8) + product) >> 8));
}

Image to_rgb(const std::vector<uint8_t>& samples, int64_t height, int64_t width, int channels) {
  Image image{height, width, {}};
  if (channels == 3) {
    image.rgb = samples;
    return image;
  }
  image.rgb.reserve(static_cast<std::size_t>(height * width * 3));
  for (std::size_t at = 0; at < samples.size(); at += static_cast<std::size_t>(channels)) {
    for (std::size_t c = 0; c < 3; ++c) {
      image.rgb.push_back(channels == 1 ? samples[at] : cmyk_to_rgb(samples[at + c], samples[at + 3]));
    }
  }
  return image;
}

}  // namespace

std::optional<Image> decode_jpeg(const std::string& name, std::string_view bytes) {
  Decompressor decompressor;
  if (!decompressor.open(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size())) return std::nullopt;
  const jpeg_decompress_struct& info = decompressor.info();
  std::vector<uint8_t> samples(std::size_t{info.output_height} * info.output_width *
                               static_cast<std::size_t>(info.output_components));
  if (!decompressor.read(samples.data())) return std::nullopt;
  if (decompressor.warning() != nullptr) {
    warn_once(name, concat("is damaged (", decompressor.warning(), "); it is decoded as far as its data go"));
  }
  return to_rgb(samples, info.output_height, info.output_width, info.output_components);
}

}  // namespace lriad

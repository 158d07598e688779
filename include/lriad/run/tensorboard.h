#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lriad/core/descriptor.h"

namespace lriad {

/// CRC-32C (Castagnoli), the checksum of TFRecord files.
uint32_t crc32c(std::string_view bytes);

/// An image with a text about it, such as an answer.
struct EventExample {
  std::string tag;
  std::string text;   ///< UTF-8; TensorBoard shows it as Markdown
  std::string image;  ///< content of a PNG or JPEG file; empty: none
  int64_t width = 0, height = 0;
};

/// Writes scalars and examples to a new events.out.tfevents.* file as TFRecord frames (length, masked CRC-32C, Event,
/// masked CRC-32C), each with one write(2). Throws Error if the file cannot be created or written. Source:
/// tensorflow/core/lib/io/record_writer.h, tensorboard/compat/proto/{event,summary,tensor}.proto,
/// tensorboard/plugins/text/metadata.py.
class EventWriter {
 public:
  explicit EventWriter(const std::filesystem::path& run_dir);
  /// Appends one event with all scalars of a step and the present time.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  /// Appends one event with all examples, as add_image(tag) and add_text(tag) of torch.utils.tensorboard write them.
  void write_examples(int64_t step, const std::vector<EventExample>& examples);
  void sync();  ///< flushes the file to the disk
  const std::filesystem::path& path() const { return path_; }

 private:
  void append(std::string_view event);
  std::filesystem::path path_;
  Descriptor file_;
};

/// Number of leading bytes of an event file whose frames are whole and of steps up to `step`; the rest can be cut off.
std::size_t events_until(std::string_view bytes, int64_t step);

}  // namespace lriad

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

/// Writes scalars to a new events.out.tfevents.* file as TFRecord frames (length, masked CRC-32C, Event, masked
/// CRC-32C), each with one write(2). Throws Error if the file cannot be created or written. Source:
/// tensorflow/core/lib/io/record_writer.h, tensorboard/compat/proto/event.proto.
class EventWriter {
 public:
  explicit EventWriter(const std::filesystem::path& run_dir);
  /// Appends one event with all scalars of a step and the present time.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
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

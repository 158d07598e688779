#include "lriad/run/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "lriad/core/error.h"
#include "lriad/core/host_name.h"

namespace lriad {
namespace {

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[byte] = crc;
  }
  return table;
}();

uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u; }

template <class Value>
std::string little_endian(Value value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

template <class Value>
Value read_little_endian(std::string_view bytes, std::size_t at) {
  Value value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Protobuf's wire format: each field is a key (field number and kind), then the value.
enum : uint32_t { kVarint = 0, kFixed64 = 1, kLengthGiven = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}
std::string key(uint32_t field, uint32_t kind) { return varint(field << 3 | kind); }
std::string text_field(uint32_t field, std::string_view text) {
  return key(field, kLengthGiven) + varint(text.size()) + std::string(text);
}

std::string number_field(uint32_t field, int64_t number) {
  return key(field, kVarint) + varint(static_cast<uint64_t>(number));
}

// Field numbers of Event: wall_time 1 (double), step 2 (int64), file_version 3 (string), summary 5; of Summary: value
// 1; of Value: tag 1, simple_value 2, image 4, tensor 8, metadata 9.
std::string event_start(int64_t step) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return key(1, kFixed64) + little_endian(now.count()) + number_field(2, step);
}

std::string value_of(const std::string& tag, const std::string& content) {
  return text_field(1, text_field(1, tag) + content);
}

/// Image: height 1, width 2, colorspace 3 (3: RGB), encoded_image_string 4.
std::string image_value(const EventExample& example) {
  constexpr int64_t kRgb = 3;
  return value_of(example.tag, text_field(4, number_field(1, example.height) + number_field(2, example.width) +
                                                 number_field(3, kRgb) + text_field(4, example.image)));
}

/// TensorProto: dtype 1 (7: string), tensor_shape 2 (dim 2, of it size 1), string_val 8. SummaryMetadata: plugin_data
/// 1, of it plugin_name 1.
std::string text_value(const EventExample& example) {
  constexpr int64_t kString = 7;
  const std::string one_element = text_field(2, number_field(1, 1));
  const std::string tensor = number_field(1, kString) + text_field(2, one_element) + text_field(8, example.text);
  return value_of(example.tag + "/text_summary",
                  text_field(9, text_field(1, text_field(1, "text"))) + text_field(8, tensor));
}

std::string framed(std::string_view event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  return length + little_endian(masked_crc(length)) + std::string(event) + little_endian(masked_crc(event));
}

constexpr std::size_t kBeforeEvent = 12, kAroundEvent = 16;

/// Size of the frame at the front in bytes; 0 if it is cut or damaged.
std::size_t frame_size(std::string_view bytes) {
  if (bytes.size() < kAroundEvent) return 0;
  const auto length = read_little_endian<uint64_t>(bytes, 0);
  if (read_little_endian<uint32_t>(bytes, 8) != masked_crc(bytes.substr(0, 8))) return 0;
  if (length > bytes.size() - kAroundEvent) return 0;
  const std::string_view event = bytes.substr(kBeforeEvent, length);
  return read_little_endian<uint32_t>(bytes, kBeforeEvent + length) == masked_crc(event) ? kAroundEvent + length : 0;
}

/// The step of an event written by EventWriter: it follows wall_time, which takes the first 9 bytes.
int64_t event_step(std::string_view event) {
  constexpr std::size_t kStepAt = 9;
  if (event.size() <= kStepAt || event.substr(kStepAt, 1) != key(2, kVarint)) return 0;
  uint64_t step = 0;
  for (std::size_t at = kStepAt + 1, shift = 0; at < event.size() && shift < 64; ++at, shift += 7) {
    step |= static_cast<uint64_t>(event[at] & 0x7F) << shift;
    if ((event[at] & 0x80) == 0) break;
  }
  return static_cast<int64_t>(step);
}

std::filesystem::path new_event_path(const std::filesystem::path& run_dir) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  for (int number = 0;; ++number) {
    const auto path = run_dir / concat("events.out.tfevents.", seconds, '.', host_name(), '.', getpid(), '.', number);
    if (!std::filesystem::exists(path)) return path;
  }
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = kCrcTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

EventWriter::EventWriter(const std::filesystem::path& run_dir) : path_(new_event_path(run_dir)) {
  file_ = Descriptor(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644));
  if (!file_.is_open()) fail("run", "cannot create ", path_.string(), ": ", std::strerror(errno));
  append(event_start(0) + text_field(3, "brain.Event:2"));
}

void EventWriter::append(std::string_view event) {
  const std::string frame = framed(event);
  for (std::string_view left = frame; !left.empty();) {
    const ssize_t written = ::write(file_.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("run", "cannot write ", path_.string(), ": ", std::strerror(errno));
    left.remove_prefix(static_cast<std::size_t>(written));
  }
}

void EventWriter::write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += value_of(tag, key(2, kFixed32) + little_endian(static_cast<float>(value)));
  }
  append(event_start(step) + text_field(5, summary));
}

void EventWriter::write_examples(int64_t step, const std::vector<EventExample>& examples) {
  std::string summary;
  for (const EventExample& example : examples) {
    if (!example.image.empty()) summary += image_value(example);
    summary += text_value(example);
  }
  append(event_start(step) + text_field(5, summary));
}

void EventWriter::sync() {
  if (fsync(file_.get()) != 0 && errno != EINVAL)
    fail("run", "cannot flush ", path_.string(), ": ", std::strerror(errno));
}

std::size_t events_until(std::string_view bytes, int64_t step) {
  std::size_t kept = 0;
  while (true) {
    const std::size_t size = frame_size(bytes.substr(kept));
    if (size == 0 || event_step(bytes.substr(kept + kBeforeEvent, size - kAroundEvent)) > step) return kept;
    kept += size;
  }
}

}  // namespace lriad

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lriad::utf8 {

/// One step through bytes: a code point, or (valid = false) one maximal part that is not valid UTF-8.
struct Step {
  char32_t code = 0;
  size_t length = 0;  ///< bytes, at least 1
  bool valid = true;
  bool incomplete = false;  ///< not valid, but the bytes end in the middle of what could be a code point
};

/// The code point that starts at `at` (< bytes.size()); Unicode 3.9, table 3-7: no surrogates, no overlong forms.
Step step(std::string_view bytes, size_t at);

/// The code point at `at` of text that is known to be UTF-8.
inline Step step_valid(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {((lead & 0x1F) << 6) | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {((lead & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F), 3};
  return {((lead & 0x07) << 18) | ((byte(1) & 0x3F) << 12) | ((byte(2) & 0x3F) << 6) | (byte(3) & 0x3F), 4};
}

void append(std::string& text, char32_t code);

bool is_ascii(std::string_view bytes);
bool is_valid(std::string_view bytes);

/// The bytes with every maximal invalid part replaced by U+FFFD.
std::string replace_invalid(std::string_view bytes);

/// Number of bytes at the end (0 to 3) that could become a code point if more bytes followed.
size_t incomplete_tail(std::string_view bytes);

}  // namespace lriad::utf8

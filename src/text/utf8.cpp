#include "utf8.h"

#include <algorithm>
#include <cstring>

namespace lriad::utf8 {
namespace {

struct Lead {
  size_t length = 0;  // of the whole sequence; 0: not a valid first byte
  unsigned char low = 0x80;
  unsigned char high = 0xBF;  // range of the second byte
  unsigned char mask = 0;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0x80, 0xBF, 0x7F};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {2, 0x80, 0xBF, 0x1F};
  if (byte == 0xE0) return {3, 0xA0, 0xBF, 0x0F};
  if (byte == 0xED) return {3, 0x80, 0x9F, 0x0F};
  if (byte < 0xF0) return {3, 0x80, 0xBF, 0x0F};
  if (byte == 0xF0) return {4, 0x90, 0xBF, 0x07};
  if (byte < 0xF4) return {4, 0x80, 0xBF, 0x07};
  if (byte == 0xF4) return {4, 0x80, 0x8F, 0x07};
  return {};
}

}  // namespace

Step step(std::string_view bytes, size_t at) {
  const auto first = static_cast<unsigned char>(bytes[at]);
  const Lead lead = lead_of(first);
  if (lead.length == 0) return {0, 1, false, false};
  auto code = static_cast<char32_t>(first & lead.mask);
  for (size_t i = 1; i < lead.length; ++i) {
    if (at + i == bytes.size()) return {0, i, false, true};
    const auto next = static_cast<unsigned char>(bytes[at + i]);
    const unsigned char low = i == 1 ? lead.low : 0x80;
    const unsigned char high = i == 1 ? lead.high : 0xBF;
    if (next < low || next > high) return {0, i, false, false};
    code = (code << 6) | (next & 0x3Fu);
  }
  return {code, lead.length, true, false};
}

void append(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_ascii(std::string_view bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    if ((word & 0x8080808080808080ull) != 0) return false;
  }
  return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(i), bytes.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_valid(std::string_view bytes) {
  if (is_ascii(bytes)) return true;
  for (size_t at = 0; at < bytes.size();) {
    const Step next = step(bytes, at);
    if (!next.valid) return false;
    at += next.length;
  }
  return true;
}

std::string replace_invalid(std::string_view bytes) {
  if (is_valid(bytes)) return std::string(bytes);
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const Step next = step(bytes, at);
    if (next.valid) {
      text.append(bytes.substr(at, next.length));
    } else {
      text.append("\xEF\xBF\xBD");
    }
    at += next.length;
  }
  return text;
}

size_t incomplete_tail(std::string_view bytes) {
  for (size_t length = 1; length <= std::min<size_t>(3, bytes.size()); ++length) {
    const size_t at = bytes.size() - length;
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (byte < 0x80) return 0;
    if (byte < 0xC0) continue;
    const Step next = step(bytes, at);
    return next.incomplete ? length : 0;
  }
  return 0;
}

}  // namespace lriad::utf8

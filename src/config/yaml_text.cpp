#include "yaml_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>

namespace lriad {
namespace {

constexpr std::array<std::string_view, 9> kReserved = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_plain(std::string_view text) {
  if (text.empty() || !(is_letter(text[0]) || text[0] == '/')) return false;
  const auto safe = [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("_/.-+").find(c) != std::string_view::npos;
  };
  if (!std::all_of(text.begin(), text.end(), safe)) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kReserved.begin(), kReserved.end(), lower) == kReserved.end();
}

std::string escaped(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte != 0x7F) return {c};
  std::array<char, 8> code{};
  std::snprintf(code.data(), code.size(), "\\x%02X", static_cast<unsigned>(byte));
  return code.data();
}

}  // namespace

std::string yaml_scalar(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out += escaped(c);
  return out + "\"";
}

std::string yaml_number(double value) {
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  std::string text(digits.data(), end);
  if (text.find('.') != std::string::npos) return text;
  const std::size_t exponent = text.find('e');
  return text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
}

bool fits_block(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text.front() == ' ' || text.front() == '\n' || text.back() == '\n') {
    return false;
  }
  const auto control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte == 0x7F;
  };
  if (std::any_of(text.begin(), text.end(), control)) return false;
  // A line of spaces only may be taken for indentation; one that ends in a space would lose it in many editors.
  return text.find(" \n") == std::string_view::npos && text.back() != ' ';
}

std::string yaml_block(std::string_view text, std::size_t indent) {
  std::string out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) out += std::string(indent, ' ') + std::string(text.substr(begin, end - begin));
    out += '\n';
    begin = end + 1;
  }
  return out;
}

}  // namespace lriad

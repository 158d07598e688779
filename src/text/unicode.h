#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lriad::unicode {

/// What the split pattern tells apart: \p{L}, \p{N}, \s and the rest.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };

/// The class of every code point, as the regular expressions of the `tokenizers` library see it: Unicode 16. An ICU
/// of 15.0 or later gives the same answer.
class CharClasses {
 public:
  CharClass operator[](char32_t code) const { return static_cast<CharClass>(table_[code]); }
  static const CharClasses& instance();

 private:
  CharClasses();
  std::string table_;
};

/// True for \w of the `regex` crate: alphabetic, mark, decimal number, connector punctuation, join control.
bool is_word(char32_t code);

/// Normalization form C of valid UTF-8 as the `tokenizers` library computes it: with the data of Unicode 9, so code
/// points assigned later are left alone and take part in nothing.
std::string nfc(std::string_view text);

}  // namespace lriad::unicode

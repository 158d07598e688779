#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lriad::unicode {

/// The classes of characters in the split pattern: \p{L}, \p{N}, \s and the rest.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };

/// The class of each code point by Unicode 16, as in the regular expressions of the `tokenizers` library. The result is
/// the same for every ICU with Unicode 15.0 or later.
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

/// Normalization form C of valid UTF-8 as in the `tokenizers` library, which uses the data of Unicode 9: code points
/// assigned later are left unchanged. Throws Error for a text of 2 GiB or more.
std::string nfc(std::string_view text);

}  // namespace lriad::unicode

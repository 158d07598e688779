#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lriad {

/// A token that is searched for in the text before the rest is tokenized; the flags are those of `tokenizers`.
struct AddedToken {
  uint32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;   ///< searched for in the normalized text
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
};

/// Finds added tokens in text: the leftmost first, the longest if several start at the same byte.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);
  bool empty() const { return tokens_.empty(); }

  /// Calls `take` for each part of the text in order: an added token, or the text between two of them (token null).
  /// With `specials_are_text`, tokens flagged special are not searched for.
  using Take = std::function<void(std::string_view text, const AddedToken* token)>;
  void split(std::string_view text, bool specials_are_text, const Take& take) const;

 private:
  const AddedToken* match_at(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;                           // longest first
  std::array<std::vector<size_t>, 256> by_first_byte_ = {};  // longest first
};

}  // namespace lriad

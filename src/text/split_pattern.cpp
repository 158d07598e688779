#include "split_pattern.h"

#include "unicode.h"
#include "utf8.h"

namespace lriad {

const char* const kSplitPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

namespace {

using unicode::CharClass;

struct Char {
  char32_t code = 0;
  size_t end = 0;  // byte after it
  CharClass kind = CharClass::kOther;
};

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text), classes_(unicode::CharClasses::instance()) {}

  size_t piece_end(size_t start) const {
    const Char first = at(start);
    if (first.code == U'\'') {
      if (const size_t end = contraction_end(first.end); end != 0) return end;
    }
    if (first.kind == CharClass::kLetter) return run_end(first.end, CharClass::kLetter);
    if (first.kind == CharClass::kNumber) return first.end;
    if (!is_line_end(first.code) && kind_is(first.end, CharClass::kLetter)) {
      return run_end(first.end, CharClass::kLetter);
    }
    if (first.kind == CharClass::kOther) return symbols_end(first.end);
    if (first.code == U' ' && kind_is(first.end, CharClass::kOther)) return symbols_end(first.end);
    return spaces_end(start);
  }

 private:
  Char at(size_t position) const {
    const utf8::Step step = utf8::step_valid(text_, position);
    return {step.code, position + step.length, classes_[step.code]};
  }

  bool kind_is(size_t position, CharClass kind) const { return position < text_.size() && at(position).kind == kind; }

  static bool is_line_end(char32_t code) { return code == U'\n' || code == U'\r'; }

  size_t run_end(size_t position, CharClass kind) const {
    while (position < text_.size()) {
      const Char next = at(position);
      if (next.kind != kind) break;
      position = next.end;
    }
    return position;
  }

  size_t symbols_end(size_t position) const {
    position = run_end(position, CharClass::kOther);
    while (position < text_.size() && is_line_end(static_cast<unsigned char>(text_[position]))) ++position;
    return position;
  }

  /// End of a contraction after its apostrophe (s, t, m, d, re, ve or ll in any case); 0 if there is none. U+017F also
  /// matches s.
  size_t contraction_end(size_t position) const {
    if (position >= text_.size()) return 0;
    const auto lower = [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); };
    const char first = lower(text_[position]);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return position + 1;
    if (text_.substr(position, 2) == "\xC5\xBF") return position + 2;
    if (position + 1 >= text_.size()) return 0;
    const char second = lower(text_[position + 1]);
    const bool two =
        (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
    return two ? position + 2 : 0;
  }

  size_t spaces_end(size_t start) const {
    size_t after_line_end = 0;
    size_t last = start;
    size_t position = start;
    while (position < text_.size()) {
      const Char next = at(position);
      if (next.kind != CharClass::kSpace) break;
      if (is_line_end(next.code)) after_line_end = next.end;
      last = position;
      position = next.end;
    }
    if (after_line_end != 0) return after_line_end;
    if (position == text_.size() || last == start) return position;
    return last;
  }

  std::string_view text_;
  const unicode::CharClasses& classes_;
};

}  // namespace

size_t next_piece(std::string_view text, size_t start) { return Scanner(text).piece_end(start); }

}  // namespace lriad

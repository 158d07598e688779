#include "added_tokens.h"

#include <algorithm>
#include <utility>

#include "unicode.h"
#include "utf8.h"

namespace lriad {
namespace {

/// Start of the last code point before `end` (> 0) of valid UTF-8.
size_t previous_start(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u) --at;
  return at;
}

bool is_space_at(std::string_view text, size_t at) {
  return unicode::CharClasses::instance()[utf8::step_valid(text, at).code] == unicode::CharClass::kSpace;
}

bool touches_word(std::string_view text, size_t start, size_t end) {
  const auto word_at = [&](size_t at) { return unicode::is_word(utf8::step_valid(text, at).code); };
  return (start > 0 && word_at(previous_start(text, start))) || (end < text.size() && word_at(end));
}

size_t strip_left(std::string_view text, size_t start, size_t limit) {
  while (start > limit) {
    const size_t before = previous_start(text, start);
    if (!is_space_at(text, before)) break;
    start = before;
  }
  return start;
}

size_t strip_right(std::string_view text, size_t end) {
  while (end < text.size() && is_space_at(text, end)) end += utf8::step_valid(text, end).length;
  return end;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    by_first_byte_[static_cast<unsigned char>(tokens_[i].content[0])].push_back(i);
  }
}

const AddedToken* AddedTokenFinder::match_at(std::string_view text, size_t at) const {
  for (const size_t i : by_first_byte_[static_cast<unsigned char>(text[at])]) {
    if (text.substr(at, tokens_[i].content.size()) == tokens_[i].content) return &tokens_[i];
  }
  return nullptr;
}

void AddedTokenFinder::split(std::string_view text, bool specials_are_text, const Take& take) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = match_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t start = at;
    size_t end = at + token->content.size();
    at = end;
    if (specials_are_text && token->special) continue;
    if (token->single_word && touches_word(text, start, end)) continue;
    if (token->lstrip) start = strip_left(text, start, done);
    if (token->rstrip) end = strip_right(text, end);
    if (done < start) take(text.substr(done, start - done), nullptr);
    take(text.substr(start, end - start), token);
    done = at = end;
  }
  if (done < text.size()) take(text.substr(done), nullptr);
}

}  // namespace lriad

// The strict parser of completions.
#include "lriad/grpo/reward.h"

namespace lriad {
namespace {

/// Length in bytes of the white-space character (Python's str.isspace) at the start of `text`; 0 if there is none.
std::size_t space_at(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  if ((first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x20)) return 1;
  if (text.substr(0, 2) == "\xC2\x85" || text.substr(0, 2) == "\xC2\xA0") return 2;
  const std::string_view three = text.substr(0, 3);
  if (three == "\xE1\x9A\x80" || three == "\xE2\x80\xA8" || three == "\xE2\x80\xA9" || three == "\xE2\x80\xAF" ||
      three == "\xE2\x81\x9F" || three == "\xE3\x80\x80") {
    return 3;
  }
  const bool en_quad_and_on = three.size() == 3 && three.substr(0, 2) == "\xE2\x80" &&
                              static_cast<unsigned char>(three[2]) >= 0x80 &&
                              static_cast<unsigned char>(three[2]) <= 0x8A;
  return en_quad_and_on ? 3 : 0;
}

std::string_view strip_left(std::string_view text) {
  while (const std::size_t length = space_at(text)) text.remove_prefix(length);
  return text;
}

std::string_view strip(std::string_view text) {
  text = strip_left(text);
  for (bool cut = true; cut;) {
    cut = false;
    for (std::size_t length = 1; length <= 3 && length <= text.size(); ++length) {
      if (space_at(text.substr(text.size() - length)) != length) continue;
      text.remove_suffix(length);
      cut = true;
      break;
    }
  }
  return text;
}

/// Removes `prefix` from the front of the text; false if the text does not start with it.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Removes everything up to and including the next `end` and puts what precedes it into `inside`; false if there is no
/// `end`.
bool take_until(std::string_view& text, std::string_view end, std::string_view& inside) {
  const std::size_t found = text.find(end);
  if (found == std::string_view::npos) return false;
  inside = text.substr(0, found);
  text.remove_prefix(found + end.size());
  return true;
}

bool holds_a_tag(std::string_view text) {
  for (const char* tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
    if (text.find(tag) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Verdict parse_answer(std::string_view text, const std::vector<std::string>& end_tokens) {
  text = strip(text);
  for (const std::string& end : end_tokens) {
    if (!text.ends_with(end)) continue;
    text = strip(text.substr(0, text.size() - end.size()));
    break;
  }
  std::string_view thought, answer;
  if (!take(text, "<think>") || !take_until(text, "</think>", thought)) return Verdict::kInvalid;
  text = strip_left(text);
  if (!take(text, "<answer>") || !take_until(text, "</answer>", answer) || !text.empty()) return Verdict::kInvalid;
  if (holds_a_tag(thought) || holds_a_tag(answer)) return Verdict::kInvalid;
  answer = strip(answer);
  if (answer == "A" || answer == "(A)") return Verdict::kDefect;
  if (answer == "B" || answer == "(B)") return Verdict::kNormal;
  return Verdict::kInvalid;
}

}  // namespace lriad

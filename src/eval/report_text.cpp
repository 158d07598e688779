#include <algorithm>

#include "report_page.h"

namespace lriad {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Bytes of the UTF-8 character at the front of `text`; 0 if it is broken.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool outside = (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
    return follows(1) && follows(2) && follows(3) && !outside ? 4 : 0;
  }
  return 0;
}

std::string_view escaped(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

/// `count` of the items, evenly spaced and in order.
void append_spread(const std::vector<const Prediction*>& items, size_t count, std::vector<const Prediction*>& out) {
  for (size_t i = 0; i < count; ++i) out.push_back(items[i * items.size() / count]);
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = character_length(text);
    const unsigned char first = static_cast<unsigned char>(text[0]);
    const bool control = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F;
    if (length == 0 || control) {
      out += kReplacement;
    } else if (const std::string_view entity = escaped(text[0]); !entity.empty()) {
      out += entity;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string url_path(std::string_view path) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

Outcome outcome_of(const Prediction& prediction) {
  if (prediction.unreadable()) return Outcome::kUnreadable;
  if (prediction.verdict == Verdict::kInvalid) return Outcome::kInvalid;
  if (!prediction.label) return Outcome::kUnlabelled;
  const bool says_defect = prediction.verdict == Verdict::kDefect;
  if (says_defect == (*prediction.label == Verdict::kDefect)) return Outcome::kRight;
  return says_defect ? Outcome::kFalseAlarm : Outcome::kMissed;
}

std::vector<const Prediction*> choose_gallery(const std::vector<Prediction>& predictions, int64_t limit) {
  std::vector<const Prediction*> wrong, right, chosen;
  for (const Outcome outcome : {Outcome::kMissed, Outcome::kFalseAlarm, Outcome::kInvalid, Outcome::kUnreadable,
                                Outcome::kRight, Outcome::kUnlabelled}) {
    const bool mistake = outcome != Outcome::kRight && outcome != Outcome::kUnlabelled;
    for (const Prediction& prediction : predictions) {
      if (outcome_of(prediction) == outcome) (mistake ? wrong : right).push_back(&prediction);
    }
  }
  const size_t most = static_cast<size_t>(std::max<int64_t>(limit, 0));
  const size_t kept_for_right = std::min(right.size(), most / 4);
  const size_t num_wrong = std::min(wrong.size(), most - kept_for_right);
  append_spread(wrong, num_wrong, chosen);
  append_spread(right, std::min(right.size(), most - num_wrong), chosen);
  return chosen;
}

}  // namespace lriad

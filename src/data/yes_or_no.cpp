#include "yes_or_no.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace lriad {
namespace {

constexpr std::array<std::string_view, 9> kDefect = {"yes",       "true",    "defect",   "defective", "defects",
                                                     "anomalous", "anomaly", "abnormal", "bad"};
constexpr std::array<std::string_view, 7> kNormal = {"no", "false", "normal", "good", "ok", "none", "nondefective"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::optional<Verdict> yes_or_no(const std::string& answer) {
  const auto begin = std::ranges::find_if(answer, is_letter);
  std::string word(begin, std::find_if_not(begin, answer.end(), is_letter));
  for (char& c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (std::ranges::find(kDefect, word) != kDefect.end()) return Verdict::kDefect;
  if (std::ranges::find(kNormal, word) != kNormal.end()) return Verdict::kNormal;
  return std::nullopt;
}

}  // namespace lriad

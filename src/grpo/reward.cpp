#include "lriad/grpo/reward.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::size_t kRecallWindow = 256;

/// Length in bytes of the white-space character at the start of `text`, 0 if there is none: Python's str.isspace().
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

/// Takes `prefix` off the front; false if it is not there.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Takes everything up to and with the next `end`; false if there is none. `inside` gets what stood before it.
bool take_until(std::string_view& text, std::string_view end, std::string_view& inside) {
  const std::size_t place = text.find(end);
  if (place == std::string_view::npos) return false;
  inside = text.substr(0, place);
  text.remove_prefix(place + end.size());
  return true;
}

bool holds_a_tag(std::string_view text) {
  for (const char* tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
    if (text.find(tag) != std::string_view::npos) return true;
  }
  return false;
}

bool right(const Scored& scored, bool is_defect) {
  return scored.answer == (is_defect ? Answer::kDefect : Answer::kNormal);
}

/// A well-formed answer whose letter was hidden counts in the mean as if it were sure: left out, a right one could gain
/// by hiding, as the mean of the others is lower and weighs more.
std::optional<double> group_p(FocalP kind, const std::vector<Scored>& group, bool is_defect) {
  double sum = 0;
  int64_t count = 0;
  for (const Scored& scored : group) {
    const double rate = right(scored, is_defect) ? 1 : 0;
    if (kind == FocalP::kGroupRate) {
      sum += rate;
      ++count;
    } else if (scored.answer != Answer::kInvalid) {
      sum += scored.p_softmax.value_or(rate);
      ++count;
    }
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

std::optional<double> p_of(FocalP kind, const Scored& scored, const std::optional<double>& of_group) {
  switch (kind) {
    case FocalP::kAnswerSoftmax:
      return scored.p_softmax;
    case FocalP::kAnswerToken:
      return scored.p_token;
    case FocalP::kGroupRate:
    case FocalP::kGroupMean:
      return of_group;
  }
  return std::nullopt;
}

/// alpha (1 - p)^gamma f. Without an answer token p counts as 1: hiding the letter must never gain.
double focal_strength(const FocalSection& focal, const std::optional<double>& p, double f) {
  return focal.alpha * std::pow(1 - p.value_or(1), focal.gamma) * f;
}

double answer_reward(const RewardSection& section, const Scored& scored, bool is_right, const std::optional<double>& p,
                     double f) {
  const FocalSection& focal = section.focal;
  if (section.answer == AnswerReward::kAccuracy || focal.where == FocalWhere::kAdvantage) return is_right ? 1 : 0;
  if (is_right) return focal_strength(focal, p, f);
  if (focal.wrong == FocalWrong::kZero) return 0;
  // A wrong answer whose letter was hidden is as bad as an ill-formed one, not free.
  const bool worst = scored.answer == Answer::kInvalid || !p;
  return worst ? -focal.alpha * f : -focal_strength(focal, p, f);
}

}  // namespace

const char* answer_name(Answer answer) {
  static constexpr std::array<const char*, 3> kNames = {"normal", "defect", "invalid"};
  return kNames.at(static_cast<std::size_t>(answer));
}

Answer parse_answer(std::string_view text, const std::vector<std::string>& end_tokens) {
  text = strip(text);
  for (const std::string& end : end_tokens) {
    if (!text.ends_with(end)) continue;
    text = strip(text.substr(0, text.size() - end.size()));
    break;
  }
  std::string_view thought, answer;
  if (!take(text, "<think>") || !take_until(text, "</think>", thought)) return Answer::kInvalid;
  text = strip_left(text);
  if (!take(text, "<answer>") || !take_until(text, "</answer>", answer) || !text.empty()) return Answer::kInvalid;
  if (holds_a_tag(thought) || holds_a_tag(answer)) return Answer::kInvalid;
  answer = strip(answer);
  if (answer == "A" || answer == "(A)") return Answer::kDefect;
  if (answer == "B" || answer == "(B)") return Answer::kNormal;
  return Answer::kInvalid;
}

void RunningRecall::add(bool defect, bool was_right) {
  std::deque<bool>& window = right_[defect ? 1 : 0];
  window.push_back(was_right);
  if (window.size() > kRecallWindow) window.pop_front();
}

double RunningRecall::factor(std::optional<double> cap) const {
  if (right_[0].empty() || right_[1].empty()) return 1;
  const auto recall = [](const std::deque<bool>& window) {
    return static_cast<double>(std::count(window.begin(), window.end(), true)) / static_cast<double>(window.size());
  };
  const double defect = recall(right_[1]), normal = recall(right_[0]);
  // No right defect yet: as if half a completion had been right, so that the factor stays finite.
  const double least = 0.5 / static_cast<double>(right_[1].size());
  const double f = std::max(1.0, normal / std::max(defect, least));
  return cap ? std::min(f, std::max(1.0, *cap)) : f;
}

std::string RunningRecall::save() const {
  std::string text;
  for (const auto& window : right_) {
    for (const bool value : window) text += value ? '1' : '0';
    text += '/';
  }
  return text;
}

void RunningRecall::restore(const std::string& text) {
  std::array<std::deque<bool>, 2> windows;
  std::size_t window = 0;
  for (const char c : text) {
    if (c == '/') {
      ++window;
    } else if (window > 1 || (c != '0' && c != '1') || windows[window].size() == kRecallWindow) {
      fail("grpo", "the running recall of a checkpoint is damaged");
    } else {
      windows[window].push_back(c == '1');
    }
  }
  if (window != 2) fail("grpo", "the running recall of a checkpoint is cut off");
  std::move(windows.begin(), windows.end(), right_);
}

double class_factor(const FocalSection& focal, bool is_defect, const std::string& object, const ClassCounts& counts,
                    const RunningRecall& recall) {
  if (focal.f_mode == FocalF::kFixed) return focal.f;
  if (!is_defect) return 1;
  if (focal.f_mode == FocalF::kRunningRecall) return recall.factor(focal.f_cap);
  int64_t normal = counts.normal, defect = counts.defect;
  if (focal.f_mode == FocalF::kObject) {
    const auto found = counts.objects.find(object);
    if (found == counts.objects.end()) fail("grpo", "object ", object, " has no counts for f_mode object");
    normal = found->second[0];
    defect = found->second[1];
  }
  if (defect == 0) return 1;
  double f = static_cast<double>(normal) / static_cast<double>(defect);
  if (focal.f_mode == FocalF::kSqrtDataset) f = std::sqrt(f);
  return focal.f_cap ? std::min(f, *focal.f_cap) : f;
}

std::vector<Reward> score_group(const RewardSection& section, const std::vector<Scored>& group, bool is_defect,
                                double f) {
  const std::optional<double> of_group = group_p(section.focal.p, group, is_defect);
  const double cost = is_defect ? section.missed_cost : section.false_alarm_cost;
  std::vector<Reward> rewards;
  for (const Scored& scored : group) {
    Reward reward;
    reward.format = scored.answer == Answer::kInvalid ? 0 : 1;
    reward.p = p_of(section.focal.p, scored, of_group);
    const bool is_right = right(scored, is_defect);
    reward.answer = answer_reward(section, scored, is_right, reward.p, f) - (is_right ? 0 : cost);
    reward.total = section.format_weight * reward.format + section.answer_weight * reward.answer;
    rewards.push_back(reward);
  }
  return rewards;
}

double advantage_weight(const RewardSection& section, const std::vector<Scored>& group, bool is_defect, double f) {
  if (section.answer != AnswerReward::kFocal || section.focal.where != FocalWhere::kAdvantage) return 1;
  const auto p = group_p(section.focal.p, group, is_defect);
  return p ? focal_strength(section.focal, p, f) : 1;
}

}  // namespace lriad

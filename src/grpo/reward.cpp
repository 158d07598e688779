#include "lriad/grpo/reward.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::size_t kRecallWindow = 256;

/// Group rate or group mean of p. A well-formed answer without an answer token, such as (A), counts as 1 if it is right
/// and 0 if not. If it were left out, a right answer could lower the mean, and so raise its reward, by writing (A).
std::optional<double> group_p(FocalP kind, const std::vector<RewardInput>& group, bool is_defect) {
  double sum = 0;
  int64_t count = 0;
  for (const RewardInput& input : group) {
    const double rate = is_right(input.verdict, is_defect) ? 1 : 0;
    if (kind == FocalP::kGroupRate) {
      sum += rate;
      ++count;
    } else if (input.verdict != Verdict::kInvalid) {
      sum += input.p_softmax.value_or(rate);
      ++count;
    }
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

std::optional<double> p_of(FocalP kind, const RewardInput& input, const std::optional<double>& of_group) {
  switch (kind) {
    case FocalP::kAnswerSoftmax:
      return input.p_softmax;
    case FocalP::kAnswerToken:
      return input.p_token;
    case FocalP::kGroupRate:
    case FocalP::kGroupMean:
      return of_group;
  }
  return std::nullopt;
}

/// alpha (1 - p)^gamma f. Without an answer token p counts as 1, so that writing (A) for A gains nothing.
double focal_strength(const FocalSection& focal, const std::optional<double>& p, double f) {
  return focal.alpha * std::pow(1 - p.value_or(1), focal.gamma) * f;
}

double answer_reward(const RewardSection& section, const RewardInput& input, bool right, const std::optional<double>& p,
                     double f) {
  const FocalSection& focal = section.focal;
  if (section.answer == AnswerReward::kAccuracy || focal.where == FocalWhere::kAdvantage) return right ? 1 : 0;
  if (right) return focal_strength(focal, p, f);
  if (focal.wrong == FocalWrong::kZero) return 0;
  // A wrong answer without an answer token gets the same penalty as an ill-formed one; by p = 1 it would get none.
  const bool worst = input.verdict == Verdict::kInvalid || !p;
  return worst ? -focal.alpha * f : -focal_strength(focal, p, f);
}

std::vector<double> format_rewards(const RewardSection&, const std::vector<RewardInput>& group, const RewardQuery&) {
  std::vector<double> values;
  for (const RewardInput& input : group) values.push_back(input.verdict == Verdict::kInvalid ? 0 : 1);
  return values;
}

std::vector<double> answer_rewards(const RewardSection& section, const std::vector<RewardInput>& group,
                                   const RewardQuery& query) {
  const std::optional<double> of_group = group_p(section.focal.p, group, query.is_defect);
  const double cost = query.is_defect ? section.missed_cost : section.false_alarm_cost;
  std::vector<double> values;
  for (const RewardInput& input : group) {
    const bool right = is_right(input.verdict, query.is_defect);
    const auto p = p_of(section.focal.p, input, of_group);
    values.push_back(answer_reward(section, input, right, p, query.f) - (right ? 0 : cost));
  }
  return values;
}

/// Decreases from 0 to -1 over the last `soft_overlong_cache` tokens before the limit. Source: DAPO, arXiv 2503.14476,
/// eq. 13; TRL's get_soft_overlong_punishment.
std::vector<double> soft_overlong_rewards(const RewardSection& section, const std::vector<RewardInput>& group,
                                          const RewardQuery& query) {
  const int64_t cache = section.soft_overlong_cache, free = query.max_completion_length - cache;
  std::vector<double> values;
  for (const RewardInput& input : group) {
    const double over = static_cast<double>(std::max<int64_t>(0, input.length - free)) / static_cast<double>(cache);
    values.push_back(-std::min(1.0, over));
  }
  return values;
}

constexpr std::array<RewardComponent, 3> kComponents = {{
    {"format", [](const RewardSection& section) { return section.format_weight; }, format_rewards},
    {"answer", [](const RewardSection& section) { return section.answer_weight; }, answer_rewards},
    {"soft_overlong", [](const RewardSection& section) { return section.soft_overlong_weight; }, soft_overlong_rewards},
}};
constexpr std::size_t kAlwaysLogged = 2;

}  // namespace

bool is_right(Verdict answer, bool is_defect) { return answer == (is_defect ? Verdict::kDefect : Verdict::kNormal); }

double Reward::value(std::string_view component) const {
  const auto found = std::ranges::find(kComponents, component, &RewardComponent::name);
  return values.at(static_cast<std::size_t>(found - kComponents.begin()));
}

std::span<const RewardComponent> reward_components() { return kComponents; }

bool is_active(const RewardComponent& component, const RewardSection& section) {
  return component.weight(section) != 0 ||
         std::ranges::find(kComponents, std::string_view(component.name), &RewardComponent::name) <
             kComponents.begin() + kAlwaysLogged;
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
  // While no defect has been recognised, half a completion counts as right, so that the factor stays finite.
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
    require(found != counts.objects.end(), "grpo", "object ", object, " has no counts for f_mode object");
    normal = found->second[0];
    defect = found->second[1];
  }
  if (defect == 0) return 1;
  double f = static_cast<double>(normal) / static_cast<double>(defect);
  if (focal.f_mode == FocalF::kSqrtDataset) f = std::sqrt(f);
  return focal.f_cap ? std::min(f, *focal.f_cap) : f;
}

std::vector<Reward> score_group(const RewardSection& section, const std::vector<RewardInput>& group,
                                const RewardQuery& query) {
  const std::optional<double> of_group = group_p(section.focal.p, group, query.is_defect);
  std::vector<Reward> rewards(group.size());
  for (const RewardComponent& component : kComponents) {
    const double weight = component.weight(section);
    const std::vector<double> values = is_active(component, section) ? component.values(section, group, query)
                                                                     : std::vector<double>(group.size(), 0.0);
    for (std::size_t i = 0; i < group.size(); ++i) {
      rewards[i].values.push_back(values[i]);
      rewards[i].total += weight * values[i];
    }
  }
  for (std::size_t i = 0; i < group.size(); ++i) rewards[i].p = p_of(section.focal.p, group[i], of_group);
  return rewards;
}

double advantage_weight(const RewardSection& section, const std::vector<RewardInput>& group, const RewardQuery& query) {
  if (section.answer != AnswerReward::kFocal || section.focal.where != FocalWhere::kAdvantage) return 1;
  const auto p = group_p(section.focal.p, group, query.is_defect);
  return p ? focal_strength(section.focal, p, query.f) : 1;
}

}  // namespace lriad

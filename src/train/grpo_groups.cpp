#include "grpo_groups.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lriad/grpo/advantage.h"
#include "lriad/grpo/loss.h"

namespace lriad {
namespace {

using Json = nlohmann::json;

Json to_json(const GroupSummary& group) {
  std::vector<int> verdicts;
  for (const Answer verdict : group.verdicts) verdicts.push_back(static_cast<int>(verdict));
  Json p = Json::array();
  for (const std::optional<double>& value : group.p) p.push_back(value ? Json(*value) : Json(nullptr));
  return {group.prompt_index,
          group.defect,
          group.advantage_factor,
          group.prompt_length,
          group.resamples,
          group.format,
          group.answer,
          group.total,
          verdicts,
          group.lengths,
          group.truncated,
          group.discarded_tokens,
          p,
          group.distinct};
}

GroupSummary from_json(const Json& json) {
  GroupSummary group;
  group.prompt_index = json[0];
  group.defect = json[1];
  group.advantage_factor = json[2];
  group.prompt_length = json[3];
  group.resamples = json[4];
  group.format = json[5].get<std::vector<double>>();
  group.answer = json[6].get<std::vector<double>>();
  group.total = json[7].get<std::vector<double>>();
  for (const int verdict : json[8]) group.verdicts.push_back(static_cast<Answer>(verdict));
  group.lengths = json[9].get<std::vector<int64_t>>();
  group.truncated = json[10].get<std::vector<bool>>();
  group.discarded_tokens = json[11];
  for (const Json& p : json[12]) group.p.push_back(p.is_null() ? std::nullopt : std::optional(p.get<double>()));
  group.distinct = json[13];
  return group;
}

/// Sums over the completions of a step.
class Tally {
 public:
  void add(double value) { values_.push_back(value); }
  std::optional<double> mean() const {
    if (values_.empty()) return std::nullopt;
    return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
  }
  std::optional<double> deviation() const {
    if (values_.empty()) return std::nullopt;
    return standard_deviation(values_, StdKind::kUnbiased);
  }
  std::optional<double> smallest() const {
    return values_.empty() ? std::nullopt : std::optional(*std::ranges::min_element(values_));
  }
  std::optional<double> largest() const {
    return values_.empty() ? std::nullopt : std::optional(*std::ranges::max_element(values_));
  }

 private:
  std::vector<double> values_;
};

/// 0: all completions differ, 1: all are the same.
double duplicate_ratio(const GroupSummary& group) {
  if (group.size() < 2) return 0;
  const auto size = static_cast<double>(group.size());
  return (size - static_cast<double>(group.distinct)) / (size - 1);
}

struct Tallies {
  Tally reward, reward_std, zero_std, format, answer, right, invalid, length, truncated, duplicates;
  Tally recall[2], class_zero_std[2], p[2], advantage[2], right_advantage[2];  ///< normal, defect
  double pull[2] = {0, 0};
  int64_t resamples = 0;

  void add_pull(const GroupSummary& group, const std::vector<double>& advantages, const std::vector<double>& weights) {
    const int side = group.defect ? 1 : 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (group.p[i]) p[side].add(*group.p[i]);
      advantage[side].add(std::abs(advantages[i]));
      if (group.right(i)) right_advantage[side].add(advantages[i]);
      pull[side] += std::abs(advantages[i]) * weights[i] * static_cast<double>(group.lengths[i]);
    }
  }

  std::optional<double> pull_share(int side) const {
    const double all = pull[0] + pull[1];
    return all > 0 ? std::optional(pull[side] / all) : std::nullopt;
  }

  void add_spread(const GroupSummary& group, const GrpoSection& section) {
    const bool flat = !rewards_vary(group.total);
    reward_std.add(standard_deviation(group.total, section.std));
    zero_std.add(flat ? 1 : 0);
    class_zero_std[group.defect ? 1 : 0].add(flat ? 1 : 0);
  }

  void add(const GroupSummary& group) {
    resamples += group.resamples;
    duplicates.add(duplicate_ratio(group));
    for (std::size_t i = 0; i < group.size(); ++i) {
      reward.add(group.total[i]);
      format.add(group.format[i]);
      answer.add(group.answer[i]);
      right.add(group.right(i) ? 1 : 0);
      recall[group.defect ? 1 : 0].add(group.right(i) ? 1 : 0);
      invalid.add(group.verdicts[i] == Answer::kInvalid ? 1 : 0);
      length.add(static_cast<double>(group.lengths[i]));
      truncated.add(group.truncated[i] ? 1 : 0);
    }
  }
};

}  // namespace

std::vector<GroupSummary> gather_groups(Communicator& communicator, const std::vector<GroupSummary>& own) {
  Json list = Json::array();
  for (const GroupSummary& group : own) list.push_back(to_json(group));
  std::vector<GroupSummary> groups;
  for (const std::string& bytes : communicator.gather(list.dump(), "groups of the step")) {
    for (const Json& group : Json::parse(bytes)) groups.push_back(from_json(group));
  }
  std::ranges::sort(groups, {}, &GroupSummary::prompt_index);
  return groups;
}

int64_t tokens_seen(const std::vector<GroupSummary>& groups) {
  int64_t tokens = 0;
  for (const GroupSummary& group : groups) {
    tokens += group.discarded_tokens + group.prompt_length * static_cast<int64_t>(group.size());
    tokens = std::accumulate(group.lengths.begin(), group.lengths.end(), tokens);
  }
  return tokens;
}

StepWeights step_weights(const std::vector<GroupSummary>& groups, const GrpoSection& section,
                         int64_t max_completion_length) {
  std::vector<std::vector<double>> rewards;
  for (const GroupSummary& group : groups) rewards.push_back(group.total);
  StepWeights step;
  step.advantages = group_advantages(rewards, section);
  std::vector<int64_t> lengths;
  int64_t count = 0;
  for (std::size_t k = 0; k < groups.size(); ++k) {
    for (double& advantage : step.advantages[k]) advantage *= groups[k].advantage_factor;
    const bool dropped = section.zero_variance == ZeroVariance::kDrop && !rewards_vary(groups[k].total);
    if (!dropped) count += static_cast<int64_t>(groups[k].size());
    for (std::size_t i = 0; i < groups[k].size(); ++i) {
      const bool masked = section.mask_truncated_completions && groups[k].truncated[i];
      lengths.push_back(dropped || masked ? 0 : groups[k].lengths[i]);
    }
  }
  step.tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const std::vector<double> all =
      completion_weights(lengths, section.loss_type, count, step.tokens, max_completion_length);
  auto next = all.begin();
  for (const GroupSummary& group : groups) {
    const auto end = next + static_cast<std::ptrdiff_t>(group.size());
    step.weights.emplace_back(next, end);
    next = end;
  }
  return step;
}

Metrics group_metrics(const std::vector<GroupSummary>& groups, const StepWeights& weights, const GrpoSection& section) {
  Tallies t;
  for (std::size_t k = 0; k < groups.size(); ++k) {
    t.add(groups[k]);
    t.add_spread(groups[k], section);
    t.add_pull(groups[k], weights.advantages[k], weights.weights[k]);
  }
  Metrics figures = {{"reward", t.reward.mean()},
                     {"reward_std", t.reward_std.mean()},
                     {"frac_reward_zero_std", t.zero_std.mean()},
                     {"rewards/format/mean", t.format.mean()},
                     {"rewards/format/std", t.format.deviation()},
                     {"rewards/answer/mean", t.answer.mean()},
                     {"rewards/answer/std", t.answer.deviation()},
                     {"accuracy", t.right.mean()},
                     {"recall/defect", t.recall[1].mean()},
                     {"recall/normal", t.recall[0].mean()},
                     {"invalid_rate", t.invalid.mean()},
                     {"zero_std/defect", t.class_zero_std[1].mean()},
                     {"zero_std/normal", t.class_zero_std[0].mean()},
                     {"p/defect", t.p[1].mean()},
                     {"p/normal", t.p[0].mean()},
                     {"advantage_abs/defect", t.advantage[1].mean()},
                     {"advantage_abs/normal", t.advantage[0].mean()},
                     {"advantage_right/defect", t.right_advantage[1].mean()},
                     {"advantage_right/normal", t.right_advantage[0].mean()},
                     {"gradient_share/defect", t.pull_share(1)},
                     {"gradient_share/normal", t.pull_share(0)},
                     {"completions/mean_length", t.length.mean()},
                     {"completions/min_length", t.length.smallest()},
                     {"completions/max_length", t.length.largest()},
                     {"completions/clipped_ratio", t.truncated.mean()},
                     {"completions/duplicate_ratio", t.duplicates.mean()}};
  if (section.zero_variance == ZeroVariance::kResample || section.zero_variance == ZeroVariance::kResampleWrong)
    figures.emplace_back("resampled_groups", static_cast<double>(t.resamples));
  return figures;
}

RolloutMetrics rollout_metrics(const std::vector<GroupSummary>& groups, std::optional<double> entropy) {
  Tallies t;
  RolloutMetrics figures;
  for (const GroupSummary& group : groups) {
    t.add(group);
    const std::size_t side = group.defect ? 1 : 0;
    figures.well_formed[side] += std::ssize(group.verdicts) - std::ranges::count(group.verdicts, Answer::kInvalid);
    figures.says_defect[side] += std::ranges::count(group.verdicts, Answer::kDefect);
  }
  if (entropy && std::isfinite(*entropy)) figures.entropy = entropy;
  figures.duplicates = t.duplicates.mean().value_or(0);
  figures.format = t.format.mean().value_or(0);
  figures.accuracy = t.right.mean().value_or(0);
  figures.mean_length = t.length.mean().value_or(0);
  figures.truncated = t.truncated.mean().value_or(0);
  return figures;
}

}  // namespace lriad

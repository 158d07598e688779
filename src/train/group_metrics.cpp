#include "group_metrics.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "lriad/core/error.h"
#include "lriad/grpo/advantage.h"
#include "lriad/grpo/loss.h"

namespace lriad {

// Ranks exchange summaries as JSON, with each field under its name.
static void to_json(nlohmann::json& json, const Reward& reward) {
  json = {{"values", reward.values}, {"total", reward.total}, {"p", nullptr}};
  if (reward.p) json["p"] = *reward.p;
}
static void from_json(const nlohmann::json& json, Reward& reward) {
  json.at("values").get_to(reward.values);
  json.at("total").get_to(reward.total);
  if (!json.at("p").is_null()) reward.p = json.at("p").get<double>();
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CompletionSummary, reward, verdict, length, truncated)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GroupSummary, prompt_index, is_defect, advantage_factor, prompt_length, resamples,
                                   discarded_tokens, distinct, completions)

namespace {

using Json = nlohmann::json;

/// Collects numbers; its statistics are null if there are none.
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

/// 0 if all completions differ, 1 if all are equal.
double duplicate_ratio(const GroupSummary& group) {
  const auto size = static_cast<double>(group.completions.size());
  return size < 2 ? 0 : (size - static_cast<double>(group.distinct)) / (size - 1);
}

struct Tallies {
  Tally reward, reward_std, zero_std, right, invalid, length, truncated, duplicates;
  std::vector<Tally> components = std::vector<Tally>(reward_components().size());
  Tally recall[2], class_zero_std[2], p[2], advantage[2], right_advantage[2];  ///< for normal images, for defects
  double gradient[2] = {0, 0};  ///< sum of |advantage| * token weight * tokens, likewise
  int64_t resamples = 0;

  void add_advantages(const GroupSummary& group, const std::vector<double>& advantages,
                      const std::vector<double>& weights) {
    const int side = group.is_defect ? 1 : 0;
    for (std::size_t i = 0; i < group.completions.size(); ++i) {
      const CompletionSummary& completion = group.completions[i];
      if (completion.reward.p) p[side].add(*completion.reward.p);
      advantage[side].add(std::abs(advantages[i]));
      if (group.right(completion)) right_advantage[side].add(advantages[i]);
      gradient[side] += std::abs(advantages[i]) * weights[i] * static_cast<double>(completion.length);
    }
  }

  std::optional<double> gradient_share(int side) const {
    const double all = gradient[0] + gradient[1];
    return all > 0 ? std::optional(gradient[side] / all) : std::nullopt;
  }

  void add_spread(const GroupSummary& group, const GrpoSection& section) {
    const std::vector<double> rewards = group.rewards();
    const bool flat = !rewards_vary(rewards);
    reward_std.add(standard_deviation(rewards, section.std));
    zero_std.add(flat ? 1 : 0);
    class_zero_std[group.is_defect ? 1 : 0].add(flat ? 1 : 0);
  }

  void add(const GroupSummary& group) {
    resamples += group.resamples;
    duplicates.add(duplicate_ratio(group));
    for (const CompletionSummary& completion : group.completions) {
      reward.add(completion.reward.total);
      for (std::size_t k = 0; k < components.size(); ++k) components[k].add(completion.reward.values[k]);
      right.add(group.right(completion) ? 1 : 0);
      recall[group.is_defect ? 1 : 0].add(group.right(completion) ? 1 : 0);
      invalid.add(completion.verdict == Verdict::kInvalid ? 1 : 0);
      length.add(static_cast<double>(completion.length));
      truncated.add(completion.truncated ? 1 : 0);
    }
  }

  void add_components_to(Metrics& metrics, const RewardSection& section) const {
    for (std::size_t k = 0; k < components.size(); ++k) {
      const RewardComponent& component = reward_components()[k];
      if (!is_active(component, section)) continue;
      metrics.emplace_back(concat("rewards/", component.name, "/mean"), components[k].mean());
      metrics.emplace_back(concat("rewards/", component.name, "/std"), components[k].deviation());
    }
  }
};

}  // namespace

std::vector<double> GroupSummary::rewards() const {
  std::vector<double> rewards;
  for (const CompletionSummary& completion : completions) rewards.push_back(completion.reward.total);
  return rewards;
}

GroupSummary summarise(const Group& group) {
  GroupSummary summary;
  summary.prompt_index = group.prompt_index;
  summary.is_defect = group.is_defect;
  summary.advantage_factor = group.advantage_factor;
  summary.prompt_length = std::ssize(group.prompt_ids);
  summary.resamples = group.resamples;
  summary.discarded_tokens = group.discarded_tokens;
  std::set<std::vector<int64_t>> distinct;
  for (const GroupCompletion& completion : group.completions) {
    distinct.insert(completion.ids);
    summary.completions.push_back({completion.reward, completion.verdict, completion.length(), completion.truncated});
  }
  summary.distinct = std::ssize(distinct);
  return summary;
}

std::vector<GroupSummary> gather_groups(Communicator& communicator, const std::vector<GroupSummary>& own) {
  std::vector<GroupSummary> groups;
  for (const std::string& bytes : communicator.gather(Json(own).dump(), "groups of the step")) {
    for (GroupSummary& group : Json::parse(bytes).get<std::vector<GroupSummary>>()) groups.push_back(std::move(group));
  }
  std::ranges::sort(groups, {}, &GroupSummary::prompt_index);
  return groups;
}

int64_t tokens_seen(const std::vector<GroupSummary>& groups) {
  int64_t tokens = 0;
  for (const GroupSummary& group : groups) {
    tokens += group.discarded_tokens;
    for (const CompletionSummary& completion : group.completions) tokens += group.prompt_length + completion.length;
  }
  return tokens;
}

StepWeights step_weights(const std::vector<GroupSummary>& groups, const GrpoSection& section,
                         int64_t max_completion_length) {
  std::vector<std::vector<double>> rewards;
  for (const GroupSummary& group : groups) rewards.push_back(group.rewards());
  StepWeights step;
  step.advantages = group_advantages(rewards, section);
  std::vector<int64_t> lengths;
  int64_t count = 0;
  for (std::size_t k = 0; k < groups.size(); ++k) {
    for (double& advantage : step.advantages[k]) advantage *= groups[k].advantage_factor;
    const bool dropped = section.zero_variance == ZeroVariance::kDrop && !rewards_vary(rewards[k]);
    if (!dropped) count += std::ssize(groups[k].completions);
    for (const CompletionSummary& completion : groups[k].completions) {
      const bool masked = section.mask_truncated_completions && completion.truncated;
      lengths.push_back(dropped || masked ? 0 : completion.length);
    }
  }
  step.tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const std::vector<double> all =
      completion_weights(lengths, section.loss_type, count, step.tokens, max_completion_length);
  auto next = all.begin();
  for (const GroupSummary& group : groups) {
    const auto end = next + std::ssize(group.completions);
    step.weights.emplace_back(next, end);
    next = end;
  }
  return step;
}

Metrics group_metrics(const std::vector<GroupSummary>& groups, const StepWeights& weights, const Config& config) {
  Tallies t;
  for (std::size_t k = 0; k < groups.size(); ++k) {
    t.add(groups[k]);
    t.add_spread(groups[k], config.grpo);
    t.add_advantages(groups[k], weights.advantages[k], weights.weights[k]);
  }
  Metrics metrics = {
      {"reward", t.reward.mean()}, {"reward_std", t.reward_std.mean()}, {"frac_reward_zero_std", t.zero_std.mean()}};
  t.add_components_to(metrics, config.reward);
  const Metrics rest = {{"accuracy", t.right.mean()},
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
                        {"gradient_share/defect", t.gradient_share(1)},
                        {"gradient_share/normal", t.gradient_share(0)},
                        {"completions/mean_length", t.length.mean()},
                        {"completions/min_length", t.length.smallest()},
                        {"completions/max_length", t.length.largest()},
                        {"completions/clipped_ratio", t.truncated.mean()},
                        {"completions/duplicate_ratio", t.duplicates.mean()}};
  metrics.insert(metrics.end(), rest.begin(), rest.end());
  const ZeroVariance zero = config.grpo.zero_variance;
  if (zero == ZeroVariance::kResample || zero == ZeroVariance::kResampleWrong)
    metrics.emplace_back("resampled_groups", static_cast<double>(t.resamples));
  return metrics;
}

RolloutMetrics rollout_metrics(const std::vector<GroupSummary>& groups, std::optional<double> entropy) {
  Tallies t;
  RolloutMetrics metrics;
  for (const GroupSummary& group : groups) {
    t.add(group);
    const std::size_t side = group.is_defect ? 1 : 0;
    for (const CompletionSummary& completion : group.completions) {
      if (completion.verdict == Verdict::kInvalid) continue;
      ++metrics.well_formed[side];
      if (completion.verdict == Verdict::kDefect) ++metrics.says_defect[side];
    }
  }
  if (entropy && std::isfinite(*entropy)) metrics.entropy = entropy;
  metrics.duplicates = t.duplicates.mean().value_or(0);
  metrics.format = t.components.front().mean().value_or(0);
  metrics.accuracy = t.right.mean().value_or(0);
  metrics.mean_length = t.length.mean().value_or(0);
  metrics.truncated = t.truncated.mean().value_or(0);
  return metrics;
}

}  // namespace lriad

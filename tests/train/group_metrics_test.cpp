#include "train/group_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lriad {
namespace {

using ::testing::ElementsAre;

CompletionSummary completion(Verdict verdict, bool right, int64_t length) {
  const double format = verdict == Verdict::kInvalid ? 0 : 1, answer = right ? 1 : 0;
  CompletionSummary summary;
  summary.reward = {{format, answer, 0}, format + answer, {}};
  if (verdict != Verdict::kInvalid) summary.reward.p = 0.25;
  summary.verdict = verdict;
  summary.length = length;
  summary.truncated = verdict == Verdict::kInvalid;
  return summary;
}

GroupSummary group(bool defect, const std::vector<Verdict>& verdicts, const std::vector<int64_t>& lengths) {
  GroupSummary summary;
  summary.is_defect = defect;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const bool right = verdicts[i] == (defect ? Verdict::kDefect : Verdict::kNormal);
    summary.completions.push_back(completion(verdicts[i], right, lengths[i]));
  }
  summary.distinct = 1;
  return summary;
}

/// A defect group with one right and one wrong answer, of 10 and 30 tokens, and a normal group of equal rewards.
std::vector<GroupSummary> two_groups() {
  return {group(true, {Verdict::kDefect, Verdict::kNormal}, {10, 30}),
          group(false, {Verdict::kNormal, Verdict::kNormal}, {20, 20})};
}

std::optional<double> metric(const Metrics& metrics, const std::string& name) {
  const auto found = std::ranges::find(metrics, name, [](const auto& one) { return one.first; });
  if (found == metrics.end()) throw std::runtime_error("no metric " + name);
  return found->second;
}

Metrics metrics_of(const std::vector<GroupSummary>& groups, const GrpoSection& section) {
  Config config;
  config.grpo = section;
  return group_metrics(groups, step_weights(groups, section, 64), config);
}

TEST(GroupMetrics, TellTheClassesApart) {
  const Metrics metrics = metrics_of(two_groups(), {});
  const double advantage = 0.5 / (0.5 + 1e-4);
  EXPECT_EQ(metric(metrics, "zero_std/defect"), 0.0);
  EXPECT_EQ(metric(metrics, "zero_std/normal"), 1.0);
  EXPECT_EQ(metric(metrics, "recall/defect"), 0.5);
  EXPECT_EQ(metric(metrics, "p/defect"), 0.25);
  EXPECT_NEAR(*metric(metrics, "advantage_abs/defect"), advantage, 1e-12);
  EXPECT_EQ(metric(metrics, "advantage_abs/normal"), 0.0);
  EXPECT_NEAR(*metric(metrics, "advantage_right/defect"), advantage, 1e-12);
  EXPECT_EQ(metric(metrics, "advantage_right/normal"), 0.0);
  EXPECT_EQ(metric(metrics, "gradient_share/defect"), 1.0);
  EXPECT_EQ(metric(metrics, "gradient_share/normal"), 0.0);
}

// The normal group has completions of 20 and 20 tokens with |A| = 1, the defect group of 30 and 50 tokens with |A| = 3.
TEST(GroupMetrics, ShareTheGradientAsTheLossWeighsTokens) {
  std::vector<GroupSummary> groups = two_groups();
  groups[0].advantage_factor = 3;
  groups[0].completions[0].length = 30;
  groups[0].completions[1].length = 50;
  groups[1] = group(false, {Verdict::kNormal, Verdict::kDefect}, {20, 20});
  GrpoSection section;
  section.loss_type = LossType::kGrpo;  // every completion has the same weight, whatever its length
  EXPECT_NEAR(*metric(metrics_of(groups, section), "gradient_share/defect"), 3.0 / 4, 1e-12);
  section.loss_type = LossType::kDapo;  // every token has the same weight
  EXPECT_NEAR(*metric(metrics_of(groups, section), "gradient_share/defect"), 240.0 / 280, 1e-12);
  section.mask_truncated_completions = true;
  for (CompletionSummary& one : groups[0].completions) one.truncated = true;
  EXPECT_EQ(metric(metrics_of(groups, section), "gradient_share/defect"), 0.0);
}

TEST(GroupMetrics, AreNullWhereNothingDefinesThem) {
  const std::vector<GroupSummary> groups = {group(false, {Verdict::kInvalid, Verdict::kInvalid}, {20, 20})};
  const Metrics metrics = metrics_of(groups, {});
  for (const char* name : {"p/normal", "p/defect", "recall/defect", "advantage_abs/defect", "advantage_right/normal",
                           "gradient_share/defect", "gradient_share/normal"}) {
    EXPECT_EQ(metric(metrics, name), std::nullopt) << name;
  }
}

TEST(GroupMetrics, CountDuplicatesWithinGroupsOnly) {
  std::vector<GroupSummary> groups = two_groups();
  EXPECT_EQ(metric(metrics_of(groups, {}), "completions/duplicate_ratio"), 1.0);
  groups[0].distinct = 2;
  EXPECT_EQ(metric(metrics_of(groups, {}), "completions/duplicate_ratio"), 0.5);
}

TEST(RolloutMetrics, CountAnswersByClass) {
  const std::vector<GroupSummary> groups = {
      group(true, {Verdict::kDefect, Verdict::kNormal, Verdict::kInvalid, Verdict::kDefect}, {10, 20, 30, 40}),
      group(false, {Verdict::kDefect, Verdict::kNormal, Verdict::kNormal, Verdict::kNormal}, {10, 20, 30, 40})};
  const RolloutMetrics metrics = rollout_metrics(groups, 0.5);
  EXPECT_THAT(metrics.well_formed, ElementsAre(4, 3));
  EXPECT_THAT(metrics.says_defect, ElementsAre(1, 2));
  EXPECT_EQ(metrics.format, 7.0 / 8);
  EXPECT_EQ(metrics.accuracy, 5.0 / 8);
  EXPECT_EQ(metrics.mean_length, 25);
  EXPECT_EQ(metrics.truncated, 1.0 / 8);
  EXPECT_EQ(metrics.duplicates, 1);
  EXPECT_EQ(metrics.entropy, 0.5);
  EXPECT_EQ(rollout_metrics(groups, std::nan("")).entropy, std::nullopt);
}

}  // namespace
}  // namespace lriad

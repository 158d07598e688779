#include "train/grpo_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lriad {
namespace {

using ::testing::ElementsAre;

GroupSummary group(bool defect, const std::vector<Answer>& verdicts, const std::vector<int64_t>& lengths) {
  GroupSummary summary;
  summary.defect = defect;
  summary.verdicts = verdicts;
  summary.lengths = lengths;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    summary.format.push_back(verdicts[i] == Answer::kInvalid ? 0 : 1);
    summary.answer.push_back(verdicts[i] == (defect ? Answer::kDefect : Answer::kNormal) ? 1 : 0);
    summary.total.push_back(summary.format[i] + summary.answer[i]);
    summary.truncated.push_back(verdicts[i] == Answer::kInvalid);
    summary.p.push_back(verdicts[i] == Answer::kInvalid ? std::nullopt : std::optional(0.25));
  }
  summary.distinct = 1;
  return summary;
}

/// A defect group with one right and one wrong answer, of 10 and 30 tokens, and a normal group of equal rewards.
std::vector<GroupSummary> two_groups() {
  return {group(true, {Answer::kDefect, Answer::kNormal}, {10, 30}),
          group(false, {Answer::kNormal, Answer::kNormal}, {20, 20})};
}

std::optional<double> figure(const Metrics& figures, const std::string& name) {
  const auto found = std::ranges::find(figures, name, [](const auto& one) { return one.first; });
  if (found == figures.end()) throw std::runtime_error("no figure " + name);
  return found->second;
}

Metrics metrics_of(const std::vector<GroupSummary>& groups, const GrpoSection& section) {
  return group_metrics(groups, step_weights(groups, section, 64), section);
}

TEST(GroupMetrics, TellTheClassesApart) {
  const Metrics figures = metrics_of(two_groups(), {});
  const double advantage = 0.5 / (0.5 + 1e-4);
  EXPECT_EQ(figure(figures, "zero_std/defect"), 0.0);
  EXPECT_EQ(figure(figures, "zero_std/normal"), 1.0);
  EXPECT_EQ(figure(figures, "recall/defect"), 0.5);
  EXPECT_EQ(figure(figures, "p/defect"), 0.25);
  EXPECT_NEAR(*figure(figures, "advantage_abs/defect"), advantage, 1e-12);
  EXPECT_EQ(figure(figures, "advantage_abs/normal"), 0.0);
  EXPECT_NEAR(*figure(figures, "advantage_right/defect"), advantage, 1e-12);
  EXPECT_EQ(figure(figures, "advantage_right/normal"), 0.0);
  EXPECT_EQ(figure(figures, "gradient_share/defect"), 1.0);
  EXPECT_EQ(figure(figures, "gradient_share/normal"), 0.0);
}

/// The normal group pulls with 2 completions of 20 tokens and |A| 1, the defect group with 2 of 10 and 30 and |A| 3.
TEST(GroupMetrics, ShareTheGradientAsTheLossWeighsTokens) {
  std::vector<GroupSummary> groups = two_groups();
  groups[0].advantage_factor = 3;
  groups[0].lengths = {30, 50};
  groups[1] = group(false, {Answer::kNormal, Answer::kDefect}, {20, 20});
  GrpoSection section;
  section.loss_type = LossType::kGrpo;  // a completion weighs the same whatever its length
  EXPECT_NEAR(*figure(metrics_of(groups, section), "gradient_share/defect"), 3.0 / 4, 1e-12);
  section.loss_type = LossType::kDapo;  // a token does
  EXPECT_NEAR(*figure(metrics_of(groups, section), "gradient_share/defect"), 240.0 / 280, 1e-12);
  section.mask_truncated_completions = true;
  groups[0].truncated = {true, true};
  EXPECT_EQ(figure(metrics_of(groups, section), "gradient_share/defect"), 0.0);
}

TEST(GroupMetrics, AreNullWhereNothingDefinesThem) {
  const std::vector<GroupSummary> groups = {group(false, {Answer::kInvalid, Answer::kInvalid}, {20, 20})};
  const Metrics figures = metrics_of(groups, {});
  for (const char* name : {"p/normal", "p/defect", "recall/defect", "advantage_abs/defect", "advantage_right/normal",
                           "gradient_share/defect", "gradient_share/normal"}) {
    EXPECT_EQ(figure(figures, name), std::nullopt) << name;
  }
}

TEST(GroupMetrics, CountDuplicatesWithinGroupsOnly) {
  std::vector<GroupSummary> groups = two_groups();
  EXPECT_EQ(figure(metrics_of(groups, {}), "completions/duplicate_ratio"), 1.0);
  groups[0].distinct = 2;
  EXPECT_EQ(figure(metrics_of(groups, {}), "completions/duplicate_ratio"), 0.5);
}

TEST(RolloutMetrics, CountAnswersByClass) {
  const std::vector<GroupSummary> groups = {
      group(true, {Answer::kDefect, Answer::kNormal, Answer::kInvalid, Answer::kDefect}, {10, 20, 30, 40}),
      group(false, {Answer::kDefect, Answer::kNormal, Answer::kNormal, Answer::kNormal}, {10, 20, 30, 40})};
  const RolloutMetrics figures = rollout_metrics(groups, 0.5);
  EXPECT_THAT(figures.well_formed, ElementsAre(4, 3));
  EXPECT_THAT(figures.says_defect, ElementsAre(1, 2));
  EXPECT_EQ(figures.format, 7.0 / 8);
  EXPECT_EQ(figures.accuracy, 5.0 / 8);
  EXPECT_EQ(figures.mean_length, 25);
  EXPECT_EQ(figures.truncated, 1.0 / 8);
  EXPECT_EQ(figures.duplicates, 1);
  EXPECT_EQ(figures.entropy, 0.5);
  EXPECT_EQ(rollout_metrics(groups, std::nan("")).entropy, std::nullopt);
}

}  // namespace
}  // namespace lriad

#include "lriad/grpo/reward.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "lriad/core/error.h"
#include "lriad/grpo/advantage.h"

namespace lriad {
namespace {

TEST(ParseAnswer, ReadsWellFormedCompletions) {
  for (const char* text :
       {"<think>x</think><answer>A</answer>", " \n<think>a\nb</think> \n <answer> (A) </answer>\t",
        "<think></think><answer>A</answer><|im_end|>", "<think>x</think><answer>A</answer> <|endoftext|>"}) {
    EXPECT_EQ(parse_answer(text), Verdict::kDefect) << text;
  }
  EXPECT_EQ(parse_answer("<think>x</think>\u00A0<answer>\u2003B\u3000</answer>"), Verdict::kNormal);
  EXPECT_EQ(parse_answer("<think>x</think><answer>(B)</answer>"), Verdict::kNormal);
}

TEST(ParseAnswer, RefusesEverythingElse) {
  for (const char* text : {"",
                           "A",
                           "<answer>A</answer>",
                           "<think>x</think>",
                           "<think>x</think><answer></answer>",
                           "<think>x</think><answer>AB</answer>",
                           "<think>x</think><answer>A B</answer>",
                           "<think>x</think><answer>a</answer>",
                           "<think>x</think><answer>a defect</answer>",
                           "<think>x</think>then<answer>A</answer>",
                           "<think>x</think><answer>A</answer>.",
                           "so <think>x</think><answer>A</answer>",
                           "<answer>A</answer><think>x</think>",
                           "<think>x</think><answer>A</answer><answer>B</answer>",
                           "<think><think>x</think></think><answer>A</answer>",
                           "<think>x<answer>B</answer></think><answer>A</answer>",
                           "<think>x</think><answer>A<think></answer>",
                           "<think>x</think><answer>\u0391</answer>",
                           "<think>x</think><answer>\uFF21</answer>",
                           "<Think>x</Think><answer>A</answer>",
                           "<think>x</think><answer>A</answer><|im_end|><|im_end|>",
                           "<think>x</think>\u200B<answer>A</answer>"}) {
    EXPECT_EQ(parse_answer(text), Verdict::kInvalid) << text;
  }
}

TEST(ParseAnswer, TakesTimeLinearInTheText) {
  std::string text = "<think>";
  for (int i = 0; i < 200000; ++i) text += "</think";
  EXPECT_EQ(parse_answer(text), Verdict::kInvalid);
  EXPECT_EQ(parse_answer("<think>" + std::string(5'000'000, ' ') + "</think><answer>B</answer>"), Verdict::kNormal);
}

std::vector<RewardInput> defects(const std::vector<double>& p) {
  std::vector<RewardInput> group;
  for (const double value : p) group.push_back({Verdict::kDefect, value, value, 0});
  return group;
}

std::vector<double> totals(const std::vector<Reward>& rewards) {
  std::vector<double> result;
  for (const Reward& reward : rewards) result.push_back(reward.total);
  return result;
}

TEST(FocalReward, FollowsEquationFour) {
  const RewardSection section;
  auto group = defects({0.6, 0.9});
  group.push_back({Verdict::kNormal, 0.3, 0.3, 0});
  group.push_back({Verdict::kInvalid, std::nullopt, std::nullopt, 0});
  group.push_back({Verdict::kDefect, std::nullopt, std::nullopt, 0});
  const auto rewards = score_group(section, group, {true, 2, 64});
  EXPECT_NEAR(rewards[0].total, 1 + 2 * 0.16, 1e-12);
  EXPECT_NEAR(rewards[1].total, 1 + 2 * 0.01, 1e-12);
  EXPECT_EQ(rewards[2].total, 1);  // wrong
  EXPECT_EQ(rewards[3].total, 0);  // invalid
  EXPECT_EQ(rewards[4].total, 1);  // right, but without an answer token: treated as p = 1
}

TEST(FocalReward, PenaltyKeepsRightAboveWrongAboveInvalid) {
  RewardSection section;
  section.focal.wrong = FocalWrong::kPenalty;
  const std::vector<RewardInput> group = {
      {Verdict::kDefect, 0.4, 0.4, 0}, {Verdict::kNormal, 0.4, 0.4, 0}, {Verdict::kInvalid, {}, {}, 0}};
  const auto rewards = score_group(section, group, {true, 8.02, 64});
  EXPECT_NEAR(rewards[1].value("answer"), -8.02 * 0.36, 1e-12);
  EXPECT_NEAR(rewards[2].value("answer"), -8.02, 1e-12);
  EXPECT_GT(rewards[0].total, rewards[1].total);
  EXPECT_GT(rewards[1].total, rewards[2].total);
}

// With the paper's reward, a factor that is constant within a group cancels when the group's rewards are normalised.
TEST(FocalReward, AConstantFactorCancelsInTheGroupsAdvantages) {
  auto group = defects({0.6});
  for (int i = 0; i < 3; ++i) group.push_back({Verdict::kNormal, 0.6, 0.6, 0});
  RewardSection section;
  section.format_weight = 0;
  for (const auto& [f, best, rest] : {std::array{1.0, 1.498, -0.499}, std::array{8.02, 1.500, -0.500}}) {
    GrpoSection grpo;
    grpo.std = StdKind::kUnbiased;
    const auto advantages = group_advantages({totals(score_group(section, group, {true, f, 64}))}, grpo)[0];
    EXPECT_NEAR(advantages[0], best, 2e-3);
    EXPECT_NEAR(advantages[3], rest, 1e-3);
  }
}

TEST(FocalReward, TheConfidentRightAnswerIsTreatedLikeTheWrongOne) {
  auto group = defects({0.95, 0.60, 0.55});
  group.push_back({Verdict::kNormal, 0.5, 0.5, 0});
  GrpoSection grpo;
  grpo.std = StdKind::kUnbiased;
  const auto advantages = group_advantages({totals(score_group({}, group, {true, 1, 64}))}, grpo)[0];
  const std::vector<double> expected = {-0.84, 0.65, 1.06, -0.87};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(advantages[i], expected[i], 0.01);
}

TEST(FocalReward, OnTheAdvantageItWeighsTheGroup) {
  RewardSection section;
  section.focal.where = FocalWhere::kAdvantage;
  section.focal.p = FocalP::kGroupRate;
  const std::vector<RewardInput> group = {{Verdict::kDefect, 0.9, 0.9, 0}, {Verdict::kNormal, 0.2, 0.2, 0}};
  EXPECT_EQ(score_group(section, group, {true, 3, 64})[0].value("answer"), 1);
  EXPECT_EQ(score_group(section, group, {true, 3, 64})[1].value("answer"), 0);
  EXPECT_NEAR(advantage_weight(section, group, {true, 3, 64}), 3 * 0.25, 1e-12);
  section.focal.p = FocalP::kGroupMean;
  EXPECT_NEAR(advantage_weight(section, group, {true, 3, 64}), 3 * 0.45 * 0.45, 1e-12);
  section.focal.where = FocalWhere::kReward;
  EXPECT_EQ(advantage_weight(section, group, {true, 3, 64}), 1);
}

TEST(FocalReward, AnAnswerWithoutAnswerTokenCountsAsSureInTheGroupsMean) {
  RewardSection section;
  section.focal.where = FocalWhere::kAdvantage;
  section.focal.p = FocalP::kGroupMean;
  const RewardInput wrong{Verdict::kNormal, 0.3, 0.3, 0}, ill{Verdict::kInvalid, 0.9, 0.9, 0};
  const RewardInput hidden_right{Verdict::kDefect, {}, {}, 0}, hidden_wrong{Verdict::kNormal, {}, {}, 0};
  EXPECT_NEAR(advantage_weight(section, {hidden_right, wrong, ill}, {true, 1, 64}), std::pow(1 - (1 + 0.3) / 2, 2),
              1e-12);
  EXPECT_NEAR(advantage_weight(section, {hidden_wrong, wrong, ill}, {true, 1, 64}), std::pow(1 - (0 + 0.3) / 2, 2),
              1e-12);
}

// A cost of 4 for a missed defect does not change the advantages if each group is divided by its standard deviation.
TEST(AnswerReward, CostsOfWrongAnswersActWithoutTheGroupsDeviation) {
  RewardSection section;
  section.answer = AnswerReward::kAccuracy;
  section.missed_cost = 4;
  section.false_alarm_cost = 0.5;
  const std::vector<RewardInput> group = {
      {Verdict::kDefect, 0.5, 0.5, 0}, {Verdict::kNormal, 0.5, 0.5, 0}, {Verdict::kInvalid, {}, {}, 0}};
  EXPECT_EQ(totals(score_group(section, group, {true, 1, 64})), (std::vector<double>{2, -3, -4}));
  EXPECT_EQ(totals(score_group(section, group, {false, 1, 64})), (std::vector<double>{0.5, 2, -0.5}));
  const std::vector<RewardInput> pair(group.begin(), group.begin() + 2);
  GrpoSection grpo;
  grpo.advantage_eps = 1e-12;
  for (const auto& [scale, defect] : {std::pair{ScaleRewards::kGroup, 1.0}, {ScaleRewards::kNone, 2.5}}) {
    grpo.scale_rewards = scale;
    EXPECT_NEAR(group_advantages({totals(score_group(section, pair, {true, 1, 64}))}, grpo)[0][0], defect, 1e-9);
  }
}

TEST(ClassFactor, ActsOnDefectsAndFollowsTheCounts) {
  FocalSection focal;
  const ClassCounts counts{80, 10, {{"bolt", {30, 5}}}};
  RunningRecall recall;
  focal.f = 4;
  EXPECT_EQ(class_factor(focal, false, "bolt", counts, recall), 4);  // fixed: every image
  focal.f_mode = FocalF::kDataset;
  EXPECT_EQ(class_factor(focal, true, "bolt", counts, recall), 8);
  EXPECT_EQ(class_factor(focal, false, "bolt", counts, recall), 1);
  focal.f_mode = FocalF::kObject;
  EXPECT_EQ(class_factor(focal, true, "bolt", counts, recall), 6);
  focal.f_mode = FocalF::kSqrtDataset;
  EXPECT_NEAR(class_factor(focal, true, "bolt", counts, recall), std::sqrt(8.0), 1e-12);
  focal.f_cap = 2;
  EXPECT_EQ(class_factor(focal, true, "bolt", counts, recall), 2);
}

TEST(RunningRecallTest, WeighsTheWeakerClassAndSurvivesACheckpoint) {
  RunningRecall recall;
  EXPECT_EQ(recall.factor({}), 1);
  for (int i = 0; i < 300; ++i) recall.add(false, true);
  for (int i = 0; i < 8; ++i) recall.add(true, i < 2);
  EXPECT_NEAR(recall.factor({}), 4, 1e-12);
  EXPECT_EQ(recall.factor(3.0), 3);
  RunningRecall copy;
  copy.restore(recall.save());
  EXPECT_EQ(copy.save(), recall.save());
  EXPECT_THROW(copy.restore("10x/"), Error);
  EXPECT_THROW(copy.restore("10/"), Error);
}

TEST(Advantages, EqualRewardsGiveZeroAndScalesDiffer) {
  GrpoSection grpo;
  EXPECT_EQ(group_advantages({{2, 2, 2}}, grpo)[0], (std::vector<double>{0, 0, 0}));
  const std::vector<std::vector<double>> rewards = {{0, 1}, {1, 1}};
  EXPECT_NEAR(group_advantages(rewards, grpo)[0][1], 0.5 / (0.5 + 1e-4), 1e-12);
  grpo.std = StdKind::kUnbiased;
  EXPECT_NEAR(group_advantages(rewards, grpo)[0][1], 0.5 / (std::sqrt(0.5) + 1e-4), 1e-12);
  grpo.scale_rewards = ScaleRewards::kBatch;
  EXPECT_NEAR(group_advantages(rewards, grpo)[0][1], 0.5 / (0.5 + 1e-4), 1e-12);
  grpo.scale_rewards = ScaleRewards::kNone;
  EXPECT_EQ(group_advantages(rewards, grpo)[0][1], 0.5);
}

// The expected values are those of TRL 1.16's get_soft_overlong_punishment(64, 16).
TEST(Reward, ThePenaltyForLongCompletionsGrowsOverTheCache) {
  RewardSection section;
  section.answer_weight = section.format_weight = 0;
  section.soft_overlong_weight = 2;
  section.soft_overlong_cache = 16;
  std::vector<RewardInput> group;
  for (const int64_t length : {40, 48, 56, 64}) group.push_back({Verdict::kDefect, {}, {}, length});
  EXPECT_EQ(totals(score_group(section, group, {true, 1, 64})), (std::vector<double>{0, 0, -1, -2}));
  section.soft_overlong_weight = 0;
  EXPECT_EQ(score_group(section, group, {true, 1, 64})[3].value("soft_overlong"), 0) << "not computed at weight 0";
}

}  // namespace
}  // namespace lriad

#include "lriad/grpo/reward_audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "lriad/config/load_config.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

RewardAudit audit_of(const std::vector<std::string>& sets, double defect_factor = 3.26) {
  ConfigInput input;
  input.use = ConfigUse::kRewards;
  input.sets = sets;
  const Config config = load_config(input).config;
  return audit_rewards({config.reward, config.grpo, config.rollout.num_generations,
                        config.rollout.max_completion_length, defect_factor});
}

const AuditClaim& claim(const RewardAudit& audit, const std::string& text) {
  const auto found = std::ranges::find(audit.claims, text, &AuditClaim::text);
  if (found == audit.claims.end()) throw std::runtime_error("no claim " + text);
  return *found;
}

constexpr const char* kUnpaid = "nothing ill-formed is paid";
constexpr const char* kOrder = "right > wrong > invalid";
constexpr const char* kLeftAlone = "a group of right answers is left alone";
constexpr const char* kRareClass = "a defect weighs more than a normal image";
constexpr const char* kHiding = "hiding the letter, as (A), gains nothing";

TEST(AuditCases, CoverWhatPoliciesTryForBothClasses) {
  for (const bool is_defect : {false, true}) {
    std::set<std::string> names, texts;
    for (const AuditCase& tried : audit_cases(is_defect)) {
      EXPECT_TRUE(names.insert(tried.name).second) << tried.name;
      EXPECT_TRUE(texts.insert(tried.text).second) << tried.name;
      const Verdict right = is_defect ? Verdict::kDefect : Verdict::kNormal;
      const Verdict answer = parse_answer(tried.text);
      EXPECT_EQ(answer == Verdict::kInvalid, tried.kind == AuditKind::kIllFormed) << tried.name;
      EXPECT_EQ(answer == right, tried.kind == AuditKind::kRight) << tried.name;
    }
    EXPECT_GE(names.size(), 60u);
  }
}

TEST(RewardAudit, NothingIllFormedIsPaidUnderAnyPreset) {
  for (const char* preset : {"lriad_paper", "lriad", "visual_rft", "trl_grpo", "trl_bnpo", "trl_dr_grpo", "trl_dapo"}) {
    for (const char* generations : {"2", "4", "16"}) {
      const RewardAudit audit =
          audit_of({std::string("preset=") + preset, std::string("rollout.num_generations=") + generations});
      EXPECT_TRUE(claim(audit, kUnpaid).holds) << preset << ": " << claim(audit, kUnpaid).counter_example;
      for (const auto& rows : audit.rows) {
        for (const AuditRow& row : rows) {
          if (row.tried.kind != AuditKind::kIllFormed) continue;
          EXPECT_EQ(row.reward.total, 0) << preset << ": " << row.tried.name;
          EXPECT_LT(row.advantage, 0) << preset << ": " << row.tried.name;
        }
      }
    }
  }
}

TEST(RewardAudit, RightBeatsWrongBeatsInvalidWhereTheAnswerIsPaidOneOrNothing) {
  for (const char* preset : {"lriad", "visual_rft"}) {
    for (const double factor : {1.0, 3.26, 8.02}) {
      const RewardAudit audit = audit_of({std::string("preset=") + preset}, factor);
      EXPECT_TRUE(claim(audit, kOrder).holds) << preset << ": " << claim(audit, kOrder).counter_example;
      EXPECT_TRUE(claim(audit, kLeftAlone).holds) << preset;
    }
  }
}

// (1 - p)^gamma is 0 at p = 1. TRL's presets do not change the rewards, so they have the paper's.
TEST(RewardAudit, SaysThatTheLiteralPaperFormPaysASureRightAnswerAsAWrongOne) {
  for (const char* preset : {"lriad_paper", "trl_grpo", "trl_bnpo", "trl_dr_grpo", "trl_dapo"}) {
    const RewardAudit audit = audit_of({std::string("preset=") + preset});
    EXPECT_FALSE(claim(audit, kOrder).holds) << preset;
    EXPECT_THAT(claim(audit, kOrder).counter_example,
                AllOf(HasSubstr("a right answer (p 1.00) has reward 1.0000, a wrong one (p 0.50) 1.0000")));
    EXPECT_FALSE(claim(audit, kLeftAlone).holds) << preset;
    EXPECT_FALSE(claim(audit, kRareClass).holds) << preset;
    EXPECT_TRUE(claim(audit, kHiding).holds) << preset;
  }
  const RewardAudit accuracy = audit_of({"preset=trl_dapo", "reward.answer=accuracy"});
  EXPECT_TRUE(claim(accuracy, kOrder).holds);
}

/// The audit with the focal factor on the advantage, and `more` settings.
RewardAudit weighted(std::vector<std::string> more = {}) {
  std::vector<std::string> sets = {"reward.focal.where=advantage", "reward.focal.p=group_mean",
                                   "reward.focal.f_mode=dataset"};
  std::ranges::move(more, std::back_inserter(sets));
  return audit_of(sets);
}

TEST(RewardAudit, TellsWhichFormLetsAClassWeighMore) {
  EXPECT_TRUE(claim(weighted(), kRareClass).holds);
  EXPECT_FALSE(claim(weighted({"reward.focal.f_cap=1"}), kRareClass).holds);
  EXPECT_FALSE(claim(audit_of({"preset=lriad_paper", "reward.focal.f_mode=dataset"}), kRareClass).holds);
  EXPECT_FALSE(claim(audit_of({"preset=visual_rft"}), kRareClass).holds);
}

TEST(RewardAudit, HidingTheLetterGainsNothing) {
  EXPECT_TRUE(claim(weighted(), kHiding).holds);
  EXPECT_TRUE(claim(weighted({"reward.missed_cost=3"}), kHiding).holds);
  EXPECT_TRUE(claim(weighted({"reward.focal.p=group_rate"}), kHiding).holds);
  EXPECT_TRUE(claim(audit_of({"preset=lriad"}), kHiding).holds);
}

TEST(RewardAudit, PenaltyNeedsAFormatRewardToKeepTheOrder) {
  EXPECT_TRUE(claim(audit_of({"reward.focal.wrong=penalty"}), kOrder).holds);
  const AuditClaim order = claim(audit_of({"reward.focal.wrong=penalty", "reward.format_weight=0"}), kOrder);
  EXPECT_FALSE(order.holds);
  EXPECT_THAT(order.counter_example, HasSubstr("an ill-formed one"));
}

TEST(RewardAudit, FindsAWeightThatPaysIllFormedAnswers) {
  AuditSettings settings;
  settings.reward.answer = AnswerReward::kAccuracy;
  settings.reward.format_weight = -2;
  const RewardAudit audit = audit_rewards(settings);
  EXPECT_FALSE(claim(audit, kUnpaid).holds);
  EXPECT_THAT(claim(audit, kUnpaid).counter_example,
              AllOf(HasSubstr("for a defect: nothing, read as invalid"), HasSubstr("advantage")));
}

}  // namespace
}  // namespace lriad

#include "lriad/health/alarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A healthy sampling with 8 completions for images with a defect and 24 for normal ones.
RolloutMetrics healthy() {
  RolloutMetrics metrics;
  metrics.duplicates = 0.7;
  metrics.entropy = 0.1;
  metrics.format = 0.9375;
  metrics.accuracy = 0.8;
  metrics.mean_length = 20;
  metrics.truncated = 0.05;
  metrics.well_formed = {22, 8};
  metrics.says_defect = {3, 5};
  return metrics;
}

/// Shows `alarms` `count` samplings, each a healthy one modified by `change`. Returns "<sampling> <name> on|off" for
/// each alarm that changed.
std::vector<std::string> watch(Alarms& alarms, int count,
                               const std::function<void(RolloutMetrics&, int)>& change = {}) {
  std::vector<std::string> seen;
  for (int k = 1; k <= count; ++k) {
    RolloutMetrics metrics = healthy();
    if (change) change(metrics, k);
    for (const AlarmChange& one : alarms.observe(metrics)) {
      seen.push_back(concat(k, " ", one.name, one.on ? " on" : " off"));
    }
  }
  return seen;
}

TEST(Alarms, AreSilentInAHealthyRun) {
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 100), IsEmpty());
  for (const auto& [name, on] : alarms.state()) EXPECT_FALSE(on) << name;
}

TEST(Alarms, JudgeNothingBeforeTenSamplings) {
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 9,
                    [](RolloutMetrics& f, int) {
                      f.duplicates = 1;
                      f.entropy = 0;
                      f.truncated = 1;
                    }),
              IsEmpty());
}

TEST(Alarms, DuplicatesRingOnceAndEndBelowNineTenths) {
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 12, [](RolloutMetrics& f, int) { f.duplicates = 0.96; }),
              ElementsAre("10 duplicate_completions on"));
  EXPECT_THAT(watch(alarms, 10, [](RolloutMetrics& f, int) { f.duplicates = 0.91; }), IsEmpty());
  EXPECT_THAT(watch(alarms, 10, [](RolloutMetrics& f, int) { f.duplicates = 0.5; }),
              ElementsAre("1 duplicate_completions off"));
}

TEST(Alarms, EntropyCollapsesAgainstTheStartOrAltogether) {
  Alarms alarms;
  watch(alarms, 10, [](RolloutMetrics& f, int) { f.entropy = 2; });
  // The mean over 10 falls below 0.2 when 9 of them are at 0.1 or less, one at 1.
  EXPECT_THAT(watch(alarms, 12, [](RolloutMetrics& f, int k) { f.entropy = k == 1 ? 1.0 : 0.1; }),
              ElementsAre("10 collapsed_entropy on"));
  EXPECT_THAT(watch(alarms, 10, [](RolloutMetrics& f, int) { f.entropy = 0.25; }), IsEmpty());
  EXPECT_THAT(watch(alarms, 10, [](RolloutMetrics& f, int) { f.entropy = 0.5; }),
              ElementsAre("3 collapsed_entropy off"));
  Alarms cold;
  EXPECT_THAT(watch(cold, 10, [](RolloutMetrics& f, int) { f.entropy = 0.009; }),
              ElementsAre("10 collapsed_entropy on"));
}

TEST(Alarms, StepsWithoutAnEntropyLeaveItsAlarmAsItIs) {
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 40, [](RolloutMetrics& f, int) { f.entropy = std::nullopt; }), IsEmpty());
}

TEST(Alarms, FormatWithoutAnswersNeedsChanceForManyStepsAndEnoughOfBothClasses) {
  const auto chance = [](RolloutMetrics& f, int) { f.says_defect = {11, 4}; };
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 40, chance), ElementsAre("20 format_without_answers on"));
  EXPECT_THAT(watch(alarms, 40), ElementsAre("17 format_without_answers off"));
  Alarms unformed;
  EXPECT_THAT(watch(unformed, 40,
                    [&](RolloutMetrics& f, int k) {
                      chance(f, k);
                      f.format = 0.85;
                    }),
              IsEmpty());
  Alarms rare;
  EXPECT_THAT(watch(rare, 100,
                    [](RolloutMetrics& f, int k) {
                      f.well_formed = {22, k % 2};
                      f.says_defect = {11, 0};
                    }),
              IsEmpty());
}

TEST(Alarms, LengthMustGrowWithoutGain) {
  const auto longer = [](RolloutMetrics& f, int k) { f.mean_length = k <= 10 ? 20 : 32; };
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 50, longer), ElementsAre("40 length_hacking on", "44 length_hacking off"));
  Alarms better;
  EXPECT_THAT(watch(better, 50,
                    [&](RolloutMetrics& f, int k) {
                      longer(f, k);
                      f.accuracy = k <= 10 ? 0.7 : 0.8;
                    }),
              IsEmpty());
  Alarms steady;
  EXPECT_THAT(watch(steady, 50, [](RolloutMetrics& f, int k) { f.mean_length = k <= 10 ? 20 : 29; }), IsEmpty());
}

TEST(Alarms, HalfOfAllCutOffRings) {
  Alarms alarms;
  EXPECT_THAT(watch(alarms, 20, [](RolloutMetrics& f, int) { f.truncated = 0.5; }),
              ElementsAre("10 truncated_completions on"));
  EXPECT_THAT(watch(alarms, 20, [](RolloutMetrics& f, int) { f.truncated = 0.45; }), IsEmpty());
  EXPECT_THAT(watch(alarms, 20), ElementsAre("2 truncated_completions off"));
}

TEST(Alarms, OneClassForEitherImageRingsWhicheverItIs) {
  for (const bool defect : {false, true}) {
    Alarms alarms;
    const auto same = [&](RolloutMetrics& f, int) {
      f.says_defect = defect ? f.well_formed : std::array<int64_t, 2>{};
    };
    EXPECT_THAT(watch(alarms, 30, same), ElementsAre("20 format_without_answers on", "20 one_class on"));
    EXPECT_THAT(watch(alarms, 2), ElementsAre("2 one_class off"));
  }
  Alarms right;  // all images are normal, so equal answers are right
  EXPECT_THAT(watch(right, 60,
                    [](RolloutMetrics& f, int) {
                      f.well_formed = {30, 0};
                      f.says_defect = {0, 0};
                    }),
              IsEmpty());
}

TEST(Alarms, SayWhatWasSeenAndWhatToDo) {
  Alarms alarms;
  std::vector<AlarmChange> changes;
  for (int k = 0; k < 10; ++k) {
    RolloutMetrics metrics = healthy();
    metrics.duplicates = 1;
    changes = alarms.observe(metrics);
  }
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_THAT(changes[0].text, AllOf(HasSubstr("completions/duplicate_ratio is 1 over the last 10 samplings"),
                                     HasSubstr("raise rollout.temperature")));
}

TEST(Alarms, GoOnFromACheckpointAsIfNothingHadHappened) {
  const auto story = [](RolloutMetrics& f, int k) {
    f.duplicates = k % 30 < 15 ? 1.0 : 1.0 / 3;
    f.entropy = k > 20 && k < 50 ? 0.001 * k : 1.0 / 7;
    f.says_defect = k > 40 ? std::array<int64_t, 2>{} : f.says_defect;
  };
  Alarms whole, parts;
  for (int k = 1; k <= 100; ++k) {
    RolloutMetrics metrics = healthy();
    story(metrics, k);
    whole.observe(metrics);
    parts.observe(metrics);
    Alarms next;
    next.restore(parts.save());
    parts = next;
    EXPECT_EQ(parts.save(), whole.save()) << k;
    EXPECT_EQ(parts.state(), whole.state()) << k;
  }
  EXPECT_TRUE(std::ranges::any_of(whole.state(), [](const auto& alarm) { return alarm.second; }));
  EXPECT_THROW(parts.restore("{}"), Error);
  EXPECT_THROW(parts.restore("x"), Error);
  EXPECT_THROW(parts.restore(R"({"samplings":[],"first_entropy":0.1,"first_count":-1,"on":[]})"), Error);
}

}  // namespace
}  // namespace lriad

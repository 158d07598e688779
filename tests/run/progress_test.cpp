#include "lriad/run/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DurationText, SaysSecondsMinutesHoursAndDays) {
  EXPECT_EQ(duration_text(0.4), "0 s");
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(59.6), "1 min 00 s");
  EXPECT_EQ(duration_text(245), "4 min 05 s");
  EXPECT_EQ(duration_text(3 * 3600 + 7 * 60), "3 h 07 min");
  EXPECT_EQ(duration_text(2 * 86400 + 4 * 3600), "2 d 04 h");
  EXPECT_EQ(duration_text(std::nan("")), "unknown");
  EXPECT_EQ(duration_text(-1), "unknown");
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  ::testing::internal::CaptureStderr();
  {
    Progress progress(10, 20, /*enabled=*/true);
    progress.phase("rollout");
    progress.step_done(11, {{"loss", 0.25}, {"reward", 1.5}}, {{"rollout", 1.25}, {"policy", 31.0}});
    progress.step_done(12, {{"loss", 0.5}}, {}, /*log_line=*/false);
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("step 11/20: loss 0.25, reward 1.5; rollout 1.25 s, policy 31.0 s; 0 s left"),
                    Not(HasSubstr("step 12")), Not(HasSubstr("\r")), Not(HasSubstr("\x1b"))));
}

TEST(Progress, IsSilentWhenDisabled) {
  ::testing::internal::CaptureStderr();
  Progress progress(0, 5, /*enabled=*/false);
  progress.phase("rollout");
  progress.step_done(1, {{"loss", 1}}, {});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace lriad

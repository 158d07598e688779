#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/program.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(AuditRewards, PrintsWhoIsPaidWhatAndTheVerdicts) {
  const Ended ended = run_program_file("lriad-tool", {"audit-rewards", "--preset", "visual_rft"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("\nCyrillic letter                         invalid    0.000   0.000   0.000"),
                               HasSubstr("\n  nothing ill-formed is paid                   yes\n"),
                               HasSubstr("\n  right > wrong > invalid                      yes\n")));
  EXPECT_EQ(ended.out.find(" \n"), std::string::npos);
}

TEST(AuditRewards, IsAFindingAndNoErrorUnlessStrict) {
  const Ended lax = run_program_file("lriad-tool", {"audit-rewards", "--preset", "lriad_paper"});
  EXPECT_EQ(lax.code, 0) << lax.err;
  EXPECT_THAT(lax.out, HasSubstr("\n  right > wrong > invalid                      no\n"));
  const Ended strict = run_program_file("lriad-tool", {"audit-rewards", "--preset", "lriad_paper", "--strict"});
  EXPECT_EQ(strict.code, 2);
  EXPECT_EQ(strict.out, lax.out);
  EXPECT_THAT(strict.err, HasSubstr("[app] --strict: it does not hold that right > wrong > invalid: for a defect"));
}

TEST(AuditRewards, ReadsAConfigAndWritesJson) {
  const TempFolder folder;
  const std::string config = (folder.path() / "a.yaml").string(), json = (folder.path() / "a.json").string();
  write_file_atomic("test", config, "preset: lriad\nrollout: {num_generations: 3}\n");
  const Ended ended = run_program_file(
      "lriad-tool", {"audit-rewards", "--config", config, "--set", "reward.answer=accuracy", "--json", json});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto report = nlohmann::json::parse(read_file("test", json));
  EXPECT_EQ(report["claims"].size(), 5u);
  EXPECT_EQ(report["completions"]["defect"].size(), report["completions"]["normal"].size());
  EXPECT_EQ(report["completions"]["normal"][0]["read_as"], "right");
  EXPECT_EQ(report["groups"]["defect"][0]["members"].size(), 3u);
}

TEST(AuditRewards, RefusesWhatHasNoRewards) {
  EXPECT_THAT(run_program_file("lriad-tool", {"audit-rewards"}).err, HasSubstr("no rewards given"));
  EXPECT_THAT(run_program_file("lriad-tool", {"audit-rewards", "--set", "stage=sft", "--set", "data.format=jsonl"}).err,
              HasSubstr("stage is sft, which has no rewards"));
  EXPECT_THAT(run_program_file("lriad-tool", {"audit-rewards", "--preset", "visual"}).err, HasSubstr("lriad_paper"));
  EXPECT_THAT(run_program_file("lriad-tool", {"audit-rewards", "--preset", "lriad", "--class-factor", "0"}).err,
              HasSubstr("--class-factor is 0, expected more than 0"));
}

}  // namespace
}  // namespace lriad

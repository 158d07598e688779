#include "src/app/common.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <stdexcept>

#include "app/program.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

void expect_refused(const Ended& run, const char* words) {
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_THAT(run.err, StartsWith("[app] "));
  EXPECT_THAT(run.err, HasSubstr(words));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
}

TEST(Program, TellsVersionsAndHelpOnStandardOutput) {
  const Ended version = run_program_file("lriad-eval", {"--version"});
  EXPECT_EQ(version.code, 0);
  for (const char* part : {"lriad-eval ", "\nlibtorch ", "\nCUDA ", "\nNCCL ", "\nbuild type "}) {
    EXPECT_THAT(version.out, HasSubstr(part));
  }
  const Ended help = run_program_file("lriad-eval", {"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* part : {"Model:", "Answers:", "Common:", "--max-new-tokens", "(default: 256)"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
  EXPECT_EQ(run_program_file("lriad-tool", {"make-data", "--help"}).code, 0);
}

TEST(Program, RefusesABadCommandLineInOneLineThatNamesTheWord) {
  expect_refused(run_program_file("lriad-eval", {"--confgi", "x"}),
                 "unknown option --confgi, the nearest known is --config");
  expect_refused(run_program_file("lriad-eval", {"--temperature", "hot"}), "--temperature is hot, expected a number");
  expect_refused(run_program_file("lriad-eval", {"--model"}), "--model needs a value");
  expect_refused(run_program_file("lriad-eval", {"--model", "a", "--model", "b"}), "--model is given 2 times");
  expect_refused(run_program_file("lriad-eval", {"word"}), "unexpected word word");
  expect_refused(run_program_file("lriad-tool", {"mkae-data"}),
                 "unknown command mkae-data, the nearest known is make-data");
  expect_refused(run_program_file("lriad-tool", {"make-data", "--outptu", "x"}), "the nearest known is --output");
  expect_refused(run_program_file("lriad-tool", {"make-data"}), "--output is missing");
  const Ended level = run_program_file("lriad-eval", {"--log-level", "loud"});
  EXPECT_EQ(level.code, 2);
  EXPECT_THAT(level.err, HasSubstr("loud"));
}

// Exit 2 asks the user to mend something; a fault of the program's own must not.
TEST(Program, EndsWithOneForItsOwnFaultsAndWithTwoForTheUsers) {
  const auto code = [](const std::function<int()>& body) {
    CLI::App app;
    CommonOptions common;
    add_common_options(app, common);
    char name[] = "program";
    char* words[] = {name};
    testing::internal::CaptureStderr();
    const int result = run_program(app, 1, words, common, body);
    flush_log();
    testing::internal::GetCapturedStderr();
    return result;
  };
  EXPECT_EQ(code([] { return 0; }), 0);
  EXPECT_EQ(code([]() -> int { fail("data", "cannot read x"); }), 2);
  EXPECT_EQ(code([] {
              require(false, "model", "a wrong shape");
              return 0;
            }),
            1);
  EXPECT_EQ(code([]() -> int { throw std::out_of_range("x"); }), 1);
}

TEST(Program, LivesWithClosedStreamsAndAReaderThatLeaves) {
  EXPECT_EQ(run_program_file("lriad-eval", {"--nonsense"}, "2>&-").code, 2);
  EXPECT_EQ(run_program_file("lriad-eval", {"--help"}, ">&-").code, 0);
  const TempFolder folder;
  const std::string code = (folder.path() / "code").string();
  // The program starts after its reader has exited.
  const std::string line = "{ sleep 0.1; " LRIAD_BIN_DIR "/lriad-eval --help; echo $? >" + code + "; } | true";
  ASSERT_EQ(std::system(line.c_str()), 0);
  EXPECT_EQ(read_file("test", code), "0\n");
}

TEST(Program, SaysThatStandardOutputIsFull) {
  const Ended run = run_program_file("lriad-eval", {"--help"}, ">/dev/full");
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("standard output"));
}

}  // namespace
}  // namespace lriad

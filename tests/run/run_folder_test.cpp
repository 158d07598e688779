#include "lriad/run/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/run/metrics_log.h"
#include "lriad/run/tensorboard.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
namespace fs = std::filesystem;

class RunFolder : public ::testing::Test {
 protected:
  const fs::path& run() const { return folder_.path(); }
  void put(const std::string& name, const std::string& text) { std::ofstream(run() / name, std::ios::trunc) << text; }
  std::string get(const std::string& name) { return read_file("test", run() / name); }
  TempFolder folder_;
};

TEST_F(RunFolder, IsLockedAgainstASecondRunWhichIsToldWhoHasIt) {
  const RunLock lock(run());
  EXPECT_THAT([&] { RunLock second(run()); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr(run().string()), HasSubstr(concat("in use by process ", getpid(), " on ")))));
}

TEST_F(RunFolder, IsFreeAgainWhenItsRunEndedOrWasKilled) {
  { const RunLock lock(run()); }
  const pid_t child = fork();
  if (child == 0) {
    const RunLock lock(run());
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(RunLock{run()});
}

TEST_F(RunFolder, ThatIsMovedAwayOrReplacedIsMissed) {
  const fs::path first = run() / "a", elsewhere = run() / "b";
  fs::create_directory(first);
  const RunLock lock(first);
  EXPECT_NO_THROW(lock.check());
  fs::rename(first, elsewhere);
  EXPECT_THAT([&] { lock.check(); }, ThrowsMessage<Error>(HasSubstr("has been removed or moved away")));
  fs::create_directory(first);
  { const RunLock other(first); }
  EXPECT_THROW(lock.check(), Error);
  fs::remove_all(first);
  fs::rename(elsewhere, first);
  EXPECT_NO_THROW(lock.check());
}

TEST_F(RunFolder, ThatIsNotThereCannotBeLocked) { EXPECT_THROW(RunLock{run() / "missing"}, Error); }

TEST_F(RunFolder, LosesWhatAnInterruptedRunLeftAndNothingElse) {
  for (const char* name : {".checkpoint-4.tmp", ".checkpoint-2.old", "checkpoint-2", ".git"}) {
    fs::create_directory(run() / name);
    put(std::string(name) + "/file", "x");
  }
  put(".config.yaml.tmp", "half");
  put("notes.tmp", "mine");
  remove_leftovers(run());
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(run())) names.insert(entry.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("checkpoint-2", ".git", "notes.tmp"));
}

TEST_F(RunFolder, LogsAreCutBackToTheStepByteForByte) {
  const std::string first = "{\"step\":1,\"loss\":0.5}\n", second = "{\"step\":2,\"loss\":null}\n";
  put("metrics.jsonl", first + second + "{\"step\":3}\n{\"step\":4,\"lo");
  put("completions.jsonl", "{\"step\":1,\"text\":\"a\\n\"}\n{\"text\":\"b\",\"step\":2}\n{\"step\":2}");
  truncate_run_logs(run(), 2);
  EXPECT_EQ(get("metrics.jsonl"), first + second);
  EXPECT_EQ(get("completions.jsonl"), "{\"step\":1,\"text\":\"a\\n\"}\n{\"text\":\"b\",\"step\":2}\n");
  truncate_run_logs(run(), 0);
  EXPECT_EQ(get("metrics.jsonl"), "");
}

TEST_F(RunFolder, LogsLoseALastLineThatWasCutOrIsUnreadable) {
  for (const std::string& tail :
       {std::string("{\"step\":2"), std::string("{\"step\":2}"), std::string("{\"step\":2,\"a\":}\n"),
        std::string(100, '\0') + "\n", std::string("[1]\n\n")}) {
    put("metrics.jsonl", "{\"step\":1}\n" + tail);
    truncate_run_logs(run(), tail.find("\"a\"") == std::string::npos ? 5 : 1);
    EXPECT_EQ(get("metrics.jsonl"), "{\"step\":1}\n") << tail;
  }
}

TEST_F(RunFolder, LogsOutOfOrderAreRefusedWithTheLine) {
  put("metrics.jsonl", "{\"step\":1}\nnonsense\n{\"step\":2}\n");
  EXPECT_THAT([&] { truncate_run_logs(run(), 2); },
              ThrowsMessage<Error>(HasSubstr("metrics.jsonl, line 3: step 2 comes after")));
  put("metrics.jsonl", "{\"step\":1}\n{\"step\":5}\n{\"step\":2}\n");
  EXPECT_THROW(truncate_run_logs(run(), 2), Error);
}

TEST_F(RunFolder, WithoutLogsHasNothingToCut) { EXPECT_NO_THROW(truncate_run_logs(run(), 3)); }

TEST_F(RunFolder, EventFilesAreCutBackToTheStep) {
  fs::path path;
  uint64_t size_at_2 = 0;
  {
    EventWriter writer(run());
    path = writer.path();
    for (int64_t step = 1; step <= 300; ++step) {
      writer.write(step, {{"loss", 0.5}, {"reward", 1}});
      if (step == 200) size_at_2 = fs::file_size(path);
    }
  }
  std::ofstream(path, std::ios::app) << "half a frame";
  truncate_run_logs(run(), 200);
  EXPECT_EQ(fs::file_size(path), size_at_2);
  truncate_run_logs(run(), 0);
  EXPECT_GT(fs::file_size(path), 20u);
}

TEST_F(RunFolder, RunLogAppendsWhatItIsToldTo) {
  LogSection section;
  {
    RunLog log(run(), section);
    StepMetrics metrics(1, 0.25);
    metrics.add("loss", 0.5);
    log.write(metrics);
    log.write_completion("{\"step\":1}");
    log.sync();
  }
  {
    RunLog log(run(), section);
    log.write(StepMetrics(2, 0.5));
  }
  EXPECT_EQ(get("metrics.jsonl"), "{\"step\":1,\"epoch\":0.25,\"loss\":0.5}\n{\"step\":2,\"epoch\":0.5}\n");
  EXPECT_EQ(get("completions.jsonl"), "{\"step\":1}\n");
}

TEST_F(RunFolder, RunLogWritesNoMoreThanAskedFor) {
  LogSection section;
  section.completions = false;
  section.tensorboard = false;
  RunLog log(run(), section);
  log.write_completion("{}");
  log.write(StepMetrics(1, 0));
  log.sync();
  EXPECT_EQ(std::distance(fs::directory_iterator(run()), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace lriad

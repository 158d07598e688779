#include "lriad/data/folder_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

/// A folder and a clock that moves by a second from look to look.
class FolderWatching : public ::testing::Test {
 protected:
  FolderWatching() : watch_({inbox().string()}, /*follow_links=*/true, 10s) {}
  fs::path inbox() {
    fs::create_directories(folder_.path() / "inbox");
    return folder_.path() / "inbox";
  }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(inbox() / name) << text;
    // Two changes within the resolution of the file system's clock would look like one.
    fs::last_write_time(inbox() / name, fs::file_time_type() + ++changes_ * 1s);
  }
  std::vector<FolderWatch::Found> found() { return watch_.look(now_ += 1s); }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const auto& one : found()) names.push_back(fs::path(one.image).filename().string());
    return names;
  }

  TempFolder folder_;
  FolderWatch watch_;
  FolderWatch::Clock::time_point now_;
  int changes_ = 0;
};

TEST_F(FolderWatching, GivesEachFileOnceWhenItHasStoppedToChange) {
  put("a.png", "1");
  put("b.txt", "no image");
  EXPECT_THAT(names(), IsEmpty());
  put("a.png", "12");
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("a.png"));
  EXPECT_THAT(names(), IsEmpty());
  put("b.png", "1");
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("b.png"));
}

TEST_F(FolderWatching, TriesAFileThatCannotBeReadOnceMoreAfterItsPatience) {
  put("a.png", "half");
  found();
  const auto first = found();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_FALSE(first[0].last_try);
  watch_.wait_for(first[0]);
  for (int second = 3; second <= 10; ++second) EXPECT_THAT(names(), IsEmpty()) << second;
  const auto last = found();
  ASSERT_EQ(last.size(), 1u);
  EXPECT_TRUE(last[0].last_try);
  EXPECT_EQ(last[0].time, 1);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(FolderWatching, GivesAFileThatWasCompletedInTheMeantime) {
  put("a.png", "half");
  found();
  watch_.wait_for(found().at(0));
  put("a.png", "whole");
  found();
  EXPECT_THAT(names(), ElementsAre("a.png"));
}

TEST_F(FolderWatching, CountsHowOftenAFileWasReplaced) {
  put("a.png", "1");
  found(), found();
  put("a.png", "another");
  found();
  EXPECT_EQ(found().at(0).time, 2);
}

TEST_F(FolderWatching, KnowsWhatWasAnsweredBefore) {
  put("a.png", "1");
  watch_.know((inbox() / "a.png").string(), 1);
  found(), found();
  EXPECT_THAT(names(), IsEmpty());
  put("a.png", "another");
  found();
  EXPECT_EQ(found().at(0).time, 2);
}

TEST_F(FolderWatching, SurvivesThatTheFolderGoesAndComesBackAsItWas) {
  put("a.png", "1");
  found(), found();
  fs::rename(inbox(), folder_.path() / "away");
  testing::internal::CaptureStderr();
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(names(), IsEmpty());
  flush_log();
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("inbox"));
  fs::rename(folder_.path() / "away", folder_.path() / "inbox");
  put("b.png", "1");
  found();
  EXPECT_THAT(names(), ElementsAre("b.png"));
}

TEST(FolderWatchStart, RefusesAFolderThatIsNotThere) {
  EXPECT_THAT([] { FolderWatch({"/nowhere/inbox"}, true); },
              ThrowsMessage<Error>(HasSubstr("/nowhere/inbox is not a folder")));
}

}  // namespace
}  // namespace lriad

#include "lriad/core/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "lriad/core/error.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Files, AtomicWriteReplacesTheFileAndLeavesNothingElse) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.txt";
  write_file_atomic("core", path, "old");
  write_file_atomic("core", path, "new text");
  EXPECT_EQ(read_file("core", path), "new text");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Files, AFullDiskLeavesTheOldFileAndNoTemporaryOne) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.txt";
  write_file_atomic("core", path, "old");
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int code = 1;
    try {
      write_file_atomic("core", path, std::string(5000, 'x'));
    } catch (const Error&) {
      code = 0;
    }
    _exit(code);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "no Error was thrown";
  EXPECT_EQ(read_file("core", path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Files, ThreadsMayWriteOneFileWhole) {
  const TempFolder folder;
  const std::string bytes(50'000, 'x');
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back([&] { write_file_whole("core", folder.path() / "same", bytes); });
  }
  EXPECT_EQ(read_file("core", folder.path() / "same"), bytes);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Files, ReadingNamesTheFileThatIsMissingOrTooLarge) {
  const TempFolder folder;
  EXPECT_THAT([&] { read_file("text", folder.path() / "no.json"); }, ThrowsMessage<Error>(HasSubstr("no.json")));
  EXPECT_THAT([&] { read_file("text", folder.path()); }, ThrowsMessage<Error>(HasSubstr("not a regular file")));
  write_file_atomic("core", folder.path() / "b", "12345");
  EXPECT_THAT([&] { read_file("text", folder.path() / "b", 4); }, ThrowsMessage<Error>(HasSubstr("5 bytes")));
}

TEST(Files, LineFileTakesBackALineThatDidNotFit) {
  const TempFolder folder;
  const fs::path path = folder.path() / "lines";
  LineFile file("test", path, LineFile::Mode::kTruncate);
  file.write_line("first");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit full = {10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  EXPECT_THROW(file.write_line("a line that is too long"), Error);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(read_file("test", path), "first\n");
  file.write_line("second");
  EXPECT_EQ(read_file("test", path), "first\nsecond\n");
}

TEST(Files, LineFileAppendsWholeLines) {
  const TempFolder folder;
  const fs::path path = folder.path() / "m.jsonl";
  LineFile(std::string_view("train"), path, LineFile::Mode::kAppend).write_line("{}");
  LineFile again("train", path, LineFile::Mode::kAppend);
  again.write_line("[]");
  again.sync();
  EXPECT_EQ(read_file("core", path), "{}\n[]\n");
  const LineFile emptied("train", path, LineFile::Mode::kTruncate);
  EXPECT_EQ(read_file("core", path), "");
}

TEST(Files, Sha256IsTheStandardOne) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const TempFolder folder;
  write_file_atomic("core", folder.path() / "x", "abc");
  EXPECT_EQ(sha256_file("core", folder.path() / "x"), sha256_hex("abc"));
}

TEST(Files, Utf8RefusesOverlongFormsSurrogatesAndCutSequences) {
  EXPECT_TRUE(is_utf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const char* bad :
       {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3", "\x80", "\xF0\x9F\x98"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(Files, ASubfolderIsMadeInAFolderThatExistsOnly) {
  const TempFolder folder;
  make_subfolder("core", folder.path() / "sub");
  make_subfolder("core", folder.path() / "sub");
  EXPECT_TRUE(fs::is_directory(folder.path() / "sub"));
  EXPECT_THROW(make_subfolder("core", folder.path() / "gone/sub"), Error);
  EXPECT_FALSE(fs::exists(folder.path() / "gone"));
}

TEST(Files, PathsThatLeaveTheFolderAreSeen) {
  const TempFolder folder;
  make_folder("core", folder.path() / "in/sub");
  fs::create_directory_symlink("/tmp", folder.path() / "in/out");
  fs::create_directory_symlink("sub", folder.path() / "in/alias");
  EXPECT_TRUE(stays_inside(folder.path() / "in", "sub/x.png"));
  EXPECT_TRUE(stays_inside(folder.path() / "in", "alias/x.png"));
  EXPECT_FALSE(stays_inside(folder.path() / "in", "../x.png"));
  EXPECT_FALSE(stays_inside(folder.path() / "in", "sub/../../x.png"));
  EXPECT_FALSE(stays_inside(folder.path() / "in", "/etc/passwd"));
  EXPECT_FALSE(stays_inside(folder.path() / "in", "out/x.png"));
}

}  // namespace
}  // namespace lriad

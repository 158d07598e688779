#include "lriad/run/tensorboard.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventWriter, OpensWithTheFileVersionAndFramesEachStep) {
  const TempFolder folder;
  EventWriter writer(folder.path());
  const std::string opening = read_file("test", writer.path());
  ASSERT_EQ(opening.size(), 16u + 9 + 2 + 15);  // frame, wall time, step, version text
  EXPECT_EQ(opening.substr(12 + 9 + 2), std::string("\x1a\x0d"
                                                    "brain.Event:2") +
                                            opening.substr(opening.size() - 4));
  writer.write(1, {{"loss", 0.5}});
  const std::string both = read_file("test", writer.path());
  EXPECT_EQ(events_until(both, 0), opening.size());
  EXPECT_EQ(events_until(both, 1), both.size());
}

TEST(EventWriter, UsesANewFileEachTime) {
  const TempFolder folder;
  const EventWriter first(folder.path()), second(folder.path());
  EXPECT_NE(first.path(), second.path());
}

TEST(EventWriter, ThatCannotCreateItsFileSaysSo) { EXPECT_THROW(EventWriter("/proc/nowhere"), Error); }

TEST(EventFile, IsReadUpToTheFirstDamagedFrame) {
  const TempFolder folder;
  EventWriter writer(folder.path());
  const std::size_t opening = read_file("test", writer.path()).size();
  writer.write(1, {{"loss", 0.5}});
  const std::string whole = read_file("test", writer.path());
  for (std::size_t at = opening; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(events_until(damaged, 9), opening) << at;
    EXPECT_EQ(events_until(whole.substr(0, at), 9), opening) << at;
  }
}

// Reads the file with TensorBoard itself if LRIAD_PYTHON names a Python that has the package.
TEST(EventFile, IsReadByTensorBoard) {
  const char* python = std::getenv("LRIAD_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "LRIAD_PYTHON names no Python with the tensorboard package";
  const TempFolder folder;
  EventWriter writer(folder.path());
  for (int64_t step = 1; step <= 300; ++step) {
    writer.write(step, {{"loss", 1.0 / static_cast<double>(step)}, {"rewards/format/mean", -2.5}});
  }
  const std::string program =
      "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as A\n"
      "a = A('" +
      folder.path().string() +
      "', size_guidance={'scalars': 0}); a.Reload()\n"
      "assert sorted(a.Tags()['scalars']) == ['loss', 'rewards/format/mean'], a.Tags()\n"
      "loss = a.Scalars('loss')\n"
      "assert [e.step for e in loss] == list(range(1, 301))\n"
      "assert all(abs(e.value - 1 / e.step) < 1e-7 for e in loss)\n"
      "assert {e.value for e in a.Scalars('rewards/format/mean')} == {-2.5}\n"
      "import time; assert abs(loss[0].wall_time - time.time()) < 600\n";
  write_file_atomic("test", folder.path() / "read.py", program);
  EXPECT_EQ(std::system(concat(python, " ", (folder.path() / "read.py").string()).c_str()), 0);
}

}  // namespace
}  // namespace lriad

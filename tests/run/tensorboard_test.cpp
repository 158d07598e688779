#include "lriad/run/tensorboard.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/write_png.h"
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

// Reads the files with TensorBoard itself if LRIAD_PYTHON names a Python that has the package.
class EventFileInTensorBoard : public ::testing::Test {
 protected:
  void SetUp() override {
    python_ = std::getenv("LRIAD_PYTHON");
    if (python_ == nullptr) GTEST_SKIP() << "LRIAD_PYTHON names no Python with the tensorboard package";
  }

  /// Runs lines of Python in which `a` is an EventAccumulator of the folder.
  void expect(const std::string& lines) const {
    const std::string program =
        "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as A\n"
        "a = A('" +
        folder_.path().string() + "', size_guidance={'scalars': 0, 'images': 0, 'tensors': 0}); a.Reload()\n" + lines;
    write_file_atomic("test", folder_.path() / "read.py", program);
    EXPECT_EQ(std::system(concat(python_, " ", (folder_.path() / "read.py").string()).c_str()), 0);
  }

  const char* python_ = nullptr;
  const TempFolder folder_;
};

TEST_F(EventFileInTensorBoard, HasTheScalars) {
  EventWriter writer(folder_.path());
  for (int64_t step = 1; step <= 300; ++step) {
    writer.write(step, {{"loss", 1.0 / static_cast<double>(step)}, {"rewards/format/mean", -2.5}});
  }
  expect(
      "assert sorted(a.Tags()['scalars']) == ['loss', 'rewards/format/mean'], a.Tags()\n"
      "loss = a.Scalars('loss')\n"
      "assert [e.step for e in loss] == list(range(1, 301))\n"
      "assert all(abs(e.value - 1 / e.step) < 1e-7 for e in loss)\n"
      "assert {e.value for e in a.Scalars('rewards/format/mean')} == {-2.5}\n"
      "import time; assert abs(loss[0].wall_time - time.time()) < 600\n");
}

TEST_F(EventFileInTensorBoard, HasImagesAndTexts) {
  EventWriter writer(folder_.path());
  const std::string png = encode_png({2, 3, std::vector<uint8_t>(18, 200)});
  for (const int64_t step : {10, 20}) {
    writer.write_examples(
        step, {{"evaluation/a.png", concat("é <b> at ", step), png, 3, 2}, {"evaluation/b.png", "no image", "", 0, 0}});
  }
  write_file_atomic("test", folder_.path() / "expected.png", png);
  expect(
      concat("assert a.Tags()['images'] == ['evaluation/a.png'], a.Tags()\n"
             "images = a.Images('evaluation/a.png')\n"
             "assert [(e.step, e.width, e.height) for e in images] == [(10, 3, 2), (20, 3, 2)], images\n"
             "assert images[1].encoded_image_string == open('",
             (folder_.path() / "expected.png").string(),
             "', 'rb').read()\n"
             "tags = [f'evaluation/{name}.png/text_summary' for name in 'ab']\n"
             "assert sorted(a.Tags()['tensors']) == tags, a.Tags()\n"
             "assert sorted(a.PluginTagToContent('text')) == tags\n"
             "from tensorboard.util.tensor_util import make_ndarray\n"
             "texts = [make_ndarray(e.tensor_proto) for e in a.Tensors(tags[0])]\n"
             "assert [t.tolist() for t in texts] == [['é <b> at 10'.encode()], ['é <b> at 20'.encode()]], texts\n"
             "assert a.Tensors(tags[1])[0].tensor_proto.string_val[0] == b'no image'\n"));
}

TEST(EventWriter, WritesExamplesThatAreCutByStepAsScalarsAre) {
  const TempFolder folder;
  EventWriter writer(folder.path());
  const std::size_t opening = read_file("test", writer.path()).size();
  writer.write_examples(3, {{"a", "text", "", 0, 0}});
  const std::string both = read_file("test", writer.path());
  EXPECT_EQ(events_until(both, 2), opening);
  EXPECT_EQ(events_until(both, 3), both.size());
}

}  // namespace
}  // namespace lriad

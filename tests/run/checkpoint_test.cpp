#include "lriad/run/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::ThrowsMessage;
namespace fs = std::filesystem;

constexpr const char* kWeights = "adapter_model.safetensors";

CheckpointContents contents_of(int64_t step) {
  CheckpointContents contents;
  contents.trainer.global_step = step;
  contents.trainer.epoch = 0.1 * static_cast<double>(step);
  contents.trainer.seed = ~uint64_t{0};
  contents.trainer.cursor = {{"sample", 12}, {"epoch", 1}};
  contents.trainer.extra = {{"guard", "{\"kl\":[0.1]}"}};
  contents.trainer.log_history = {"{\"step\":1,\"loss\":0.1}", "{\"step\":2,\"loss\":null}"};
  contents.state = {{"optimizer.exp_avg", at::full({1000}, step, at::kFloat)}};
  contents.write_weights = [step](const fs::path& folder) {
    write_file_atomic("test", folder / kWeights, std::string(5000, static_cast<char>('a' + step % 26)));
    write_file_atomic("test", folder / "adapter_config.json", "{}");
  };
  return contents;
}

class Checkpoint : public ::testing::Test {
 protected:
  const fs::path& run() const { return folder_.path(); }
  fs::path write(int64_t step) { return write_checkpoint(run(), contents_of(step)); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(run())) found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }
  TempFolder folder_;
};

TEST_F(Checkpoint, DoesNotBringBackARunFolderThatWasMovedAway) {
  const fs::path gone = run() / "gone";
  EXPECT_THAT([&] { write_checkpoint(gone, contents_of(1)); },
              ThrowsMessage<Error>(HasSubstr("cannot create the folder")));
  EXPECT_FALSE(fs::exists(gone));
}

TEST_F(Checkpoint, GivesBackWhatWasWritten) {
  const fs::path folder = write(20);
  EXPECT_EQ(folder.filename(), "checkpoint-20");
  EXPECT_THAT(names(), ElementsAre("checkpoint-20"));
  EXPECT_EQ(checkpoint_damage(folder), std::nullopt);
  const TrainerState expected = contents_of(20).trainer, state = read_trainer_state(folder);
  EXPECT_EQ(state.global_step, 20);
  EXPECT_EQ(state.epoch, expected.epoch);
  EXPECT_EQ(state.seed, expected.seed);
  EXPECT_EQ(state.cursor, expected.cursor);
  EXPECT_EQ(state.extra, expected.extra);
  EXPECT_EQ(state.log_history, expected.log_history);
  EXPECT_EQ(state.best_metric, std::nullopt);
  EXPECT_TRUE(at::equal(read_state(folder).at("optimizer.exp_avg"), at::full({1000}, 20.0f)));
}

TEST_F(Checkpoint, KeepsTheLastThousandLoggedSteps) {
  TrainerState state;
  for (int step = 1; step <= 1002; ++step) state.add_log(concat("{\"step\":", step, "}"));
  EXPECT_EQ(state.log_history.size(), 1000u);
  EXPECT_EQ(state.log_history.front(), "{\"step\":3}");
  EXPECT_EQ(state.log_history.back(), "{\"step\":1002}");
}

TEST_F(Checkpoint, IsEqualByteForByteWhenWrittenTwice) {
  const fs::path folder = write(4);
  std::map<std::string, std::string> before;
  for (const auto& entry : fs::directory_iterator(folder))
    before[entry.path().filename()] = read_file("test", entry.path());
  write(4);
  EXPECT_EQ(before.size(), 5u);
  for (const auto& [name, bytes] : before) EXPECT_EQ(read_file("test", folder / name), bytes) << name;
  EXPECT_THAT(names(), ElementsAre("checkpoint-4"));
}

TEST_F(Checkpoint, OfTheNewestStepIsFoundByNumberNotByName) {
  for (const int64_t step : {2, 10, 9}) write(step);
  fs::create_directory(run() / "checkpoint-99x");
  fs::create_directory(run() / "checkpoint-011");
  EXPECT_THAT(checkpoint_steps(run()), ElementsAre(2, 9, 10));
  EXPECT_THAT(find_checkpoint(run(), "auto"), Optional(run() / "checkpoint-10"));
  EXPECT_EQ(find_checkpoint(run(), "never"), std::nullopt);
  EXPECT_THAT(find_checkpoint("/", (run() / "checkpoint-9").string()), Optional(run() / "checkpoint-9"));
}

TEST_F(Checkpoint, IsNoneInAnEmptyOrMissingRunFolder) {
  EXPECT_EQ(find_checkpoint(run(), "auto"), std::nullopt);
  EXPECT_EQ(find_checkpoint(run() / "missing", "auto"), std::nullopt);
  EXPECT_THAT([&] { find_checkpoint(run(), (run() / "missing").string()); },
              ThrowsMessage<Error>(HasSubstr("missing is no folder")));
}

struct Damage {
  const char* name;
  const char* file;
  std::function<void(const fs::path&)> act;
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name << ' ' << damage.file; }

void rewrite(const fs::path& path, const std::function<void(std::string&)>& change) {
  std::string bytes = read_file("test", path);
  change(bytes);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::vector<Damage> damages() {
  std::vector<Damage> all;
  for (const char* file : {"trainer_state.json", "state.safetensors", kWeights, "adapter_config.json", "DONE"}) {
    all.push_back({"removed", file, [](const fs::path& path) { fs::remove(path); }});
    all.push_back(
        {"emptied", file, [](const fs::path& path) { rewrite(path, [](std::string& bytes) { bytes.clear(); }); }});
    all.push_back({"cut", file, [](const fs::path& path) {
                     rewrite(path, [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
                   }});
    all.push_back({"changed", file, [](const fs::path& path) {
                     rewrite(path, [](std::string& bytes) { bytes[bytes.size() / 2] ^= 0x10; });
                   }});
    all.push_back(
        {"lengthened", file, [](const fs::path& path) { rewrite(path, [](std::string& bytes) { bytes += 'x'; }); }});
    all.push_back({"made a folder", file, [](const fs::path& path) {
                     fs::remove(path);
                     fs::create_directory(path);
                   }});
  }
  return all;
}

class DamagedCheckpoint : public Checkpoint, public ::testing::WithParamInterface<Damage> {};
INSTANTIATE_TEST_SUITE_P(Files, DamagedCheckpoint, ::testing::ValuesIn(damages()));

TEST_P(DamagedCheckpoint, IsRefusedByNameAndLeftOutOtherwise) {
  write(2);
  const fs::path newest = write(4);
  GetParam().act(newest / GetParam().file);
  ASSERT_NE(checkpoint_damage(newest), std::nullopt);
  EXPECT_THAT([&] { find_checkpoint(run(), newest.string()); }, ThrowsMessage<Error>(HasSubstr("checkpoint-4")));
  ::testing::internal::CaptureStderr();
  EXPECT_THAT(find_checkpoint(run(), "auto"), Optional(run() / "checkpoint-2"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("checkpoint-4 is damaged and left out"));
}

TEST_F(Checkpoint, OfANewerVersionIsRefusedAndNotTakenForDamaged) {
  write(2);
  const fs::path newest = write(4);
  rewrite(newest / "DONE",
          [](std::string& bytes) { bytes.replace(bytes.find("\"version\": 1"), 12, "\"version\": 2"); });
  for (const std::string& resume : {std::string("auto"), newest.string()}) {
    EXPECT_THAT([&] { find_checkpoint(run(), resume); },
                ThrowsMessage<Error>(HasSubstr("has format version 2, this program reads up to 1")));
  }
}

TEST_F(Checkpoint, DoesNotFollowAListOfFilesOutOfItsFolder) {
  const fs::path folder = write(2);
  write_file_atomic("test", run() / "outside", "x");
  rewrite(folder / "DONE",
          [](std::string& bytes) { bytes.replace(bytes.find("adapter_config.json"), 19, "../outside"); });
  EXPECT_THAT(checkpoint_damage(folder), Optional(HasSubstr("../outside, which is not in this folder")));
}

TEST_F(Checkpoint, ThatCannotBeWrittenLeavesNothingAndTheOlderOnesAsTheyWere) {
  write(2);
  for (int part = 0; part < 2; ++part) {
    CheckpointContents contents = contents_of(4);
    contents.write_weights = [part](const fs::path& folder) {
      if (part == 1) write_file_atomic("test", folder / kWeights, "half");
      fail("test", "no space left on device");
    };
    EXPECT_THAT([&] { write_checkpoint(run(), contents); }, ThrowsMessage<Error>(HasSubstr("no space left")));
  }
  EXPECT_THAT(names(), ElementsAre("checkpoint-2"));
  EXPECT_EQ(checkpoint_damage(run() / "checkpoint-2"), std::nullopt);
}

TEST_F(Checkpoint, OnAFullDiskEndsInAnErrorThatSaysSo) {
  write(2);
  for (const rlim_t limit : {1u, 100u, 1000u, 4999u}) {
    const pid_t child = fork();
    if (child == 0) {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit bound{limit, limit};
      setrlimit(RLIMIT_FSIZE, &bound);
      try {
        write_checkpoint(run(), contents_of(4));
      } catch (const Error& error) {
        _exit(std::string(error.what()).find("File too large") != std::string::npos ? 2 : 3);
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 2) << "limit " << limit;
    EXPECT_THAT(names(), ElementsAre("checkpoint-2"));
  }
}

TEST_F(Checkpoint, SurvivesAKillAtAnyMoment) {
  write(2);
  for (int microseconds = 0; microseconds < 6000; microseconds += 300) {
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t step = 4; step < 100; step += 2) write(step);
      _exit(0);
    }
    usleep(static_cast<useconds_t>(microseconds));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    for (const int64_t step : checkpoint_steps(run())) {
      EXPECT_EQ(checkpoint_damage(run() / concat("checkpoint-", step)), std::nullopt) << step;
    }
  }
}

TEST_F(Checkpoint, LimitKeepsTheNewestAndTheBest) {
  for (const int64_t step : {0, 2, 4, 6, 8}) write(step);
  limit_checkpoints(run(), 3, 2);
  EXPECT_THAT(checkpoint_steps(run()), ElementsAre(2, 6, 8));
  limit_checkpoints(run(), 1, 2);
  EXPECT_THAT(checkpoint_steps(run()), ElementsAre(2, 8));
  limit_checkpoints(run(), 0, -1);
  EXPECT_THAT(checkpoint_steps(run()), ElementsAre(8));
  EXPECT_THAT(names(), ElementsAre("checkpoint-8"));
}

TEST_F(Checkpoint, AfterTheStepToGoOnFromIsDiscarded) {
  for (const int64_t step : {2, 4, 6}) write(step);
  fs::remove(run() / "checkpoint-6" / "DONE");
  discard_checkpoints_after(run(), 2);
  EXPECT_THAT(names(), ElementsAre("checkpoint-2"));
}

TEST_F(Checkpoint, WithABrokenTrainerStateNamesTheFile) {
  const fs::path folder = write(2);
  const std::string good = read_file("test", folder / "trainer_state.json");
  const std::string deep = "{\"version\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  std::vector<std::string> texts = {"", "[]", "{}", deep, "{\"version\": 1, \"version\": 1}"};
  for (const char* step : {"\"two\"", "1e300", "-1", "2.0"}) {
    texts.push_back(good);
    texts.back().replace(good.find("\"global_step\": 2"), 16, concat("\"global_step\": ", step));
  }
  for (const std::string& text : texts) {
    std::ofstream(folder / "trainer_state.json", std::ios::trunc) << text;
    EXPECT_THAT([&] { read_trainer_state(folder); }, ThrowsMessage<Error>(HasSubstr("trainer_state.json")));
  }
}

}  // namespace
}  // namespace lriad

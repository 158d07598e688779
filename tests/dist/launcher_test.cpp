#include "lriad/dist/launcher.h"

#include <ATen/Functions.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "dist/socket.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

// The launcher starts this very test program again; the copies run one of the tests called Copy, the original skips
// those.
bool is_copy() { return std::getenv("LRIAD_LAUNCHED") != nullptr; }

std::filesystem::path notes() { return std::getenv("LRIAD_TEST_NOTES"); }

void leave_note(const std::string& name, const std::string& text) { std::ofstream(notes() / name) << text; }

/// Waits for a file that another process writes.
bool appears(const std::filesystem::path& path, double seconds = 20) {
  const Clock::time_point deadline = after_seconds(seconds);
  while (!std::filesystem::exists(path) && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return std::filesystem::exists(path);
}

class Copy : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_copy()) GTEST_SKIP() << "runs in processes started by the launcher tests";
    world_ = *world_from_environment();
  }
  World world_;
};

TEST_F(Copy, Sums) {
  const auto communicator = make_communicator(world_, at::kCPU, 20);
  at::Tensor flat = at::full({3}, world_.rank + 1, at::kDouble);
  communicator->sum(flat, "gradients");
  leave_note(concat("sum", world_.rank), concat(flat[0].item<double>(), ' ', std::getenv("OMP_NUM_THREADS")));
  communicator->barrier("end");
}

TEST_F(Copy, FailsOnRankOne) {
  if (world_.rank == 1) _exit(7);
  std::this_thread::sleep_for(std::chrono::seconds(60));
}

TEST_F(Copy, LosesRankOneToASignal) {
  const auto communicator = make_communicator(world_, at::kCPU, 20);
  if (world_.rank == 1) raise(SIGKILL);
  try {
    communicator->barrier("rollout");
  } catch (const Error& error) {
    leave_note(concat("error", world_.rank), error.what());
    _exit(2);
  }
}

TEST_F(Copy, WaitsForASignal) {
  static volatile sig_atomic_t got = 0;
  signal(SIGTERM, [](int number) { got = number; });
  signal(SIGINT, [](int number) { got = number; });
  leave_note(concat("ready", world_.rank), std::to_string(getpid()));
  while (got == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (world_.rank == 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  leave_note(concat("saved", world_.rank), std::to_string(got));
  _exit(128 + got);
}

TEST_F(Copy, DiesOnRankOneTheFirstTwoTimes) {
  leave_note(concat("start", world_.restarts, world_.rank), "");
  if (world_.rank == 1 && world_.restarts < 2) raise(SIGKILL);
}

TEST_F(Copy, LosesOtherRanks) {
  leave_note(concat("start", world_.restarts, world_.rank), "");
  _exit(world_.rank == 0 ? kLostRankExit : 0);
}

TEST_F(Copy, ComplainsLaterThanTheRankThatLosesIt) {
  leave_note(concat("start", world_.restarts, world_.rank), "");
  if (world_.rank == 0) _exit(kLostRankExit);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  _exit(2);
}

class Launcher : public ::testing::Test {
 protected:
  void SetUp() override {
    if (is_copy()) GTEST_SKIP();
    setenv("LRIAD_TEST_NOTES", folder_.path().c_str(), 1);
    unsetenv("OMP_NUM_THREADS");
  }
  int launch_copies(std::size_t size, const std::string& name, int64_t max_restarts = 0) {
    const std::vector<at::Device> devices(size, at::kCPU);
    return launch(devices, {"--gtest_filter=Copy." + name, "--gtest_brief=1"}, max_restarts);
  }
  bool was_started(int64_t restart, int64_t rank) {
    return std::filesystem::exists(folder_.path() / concat("start", restart, rank));
  }
  std::string note(const std::string& name) { return read_file("test", folder_.path() / name); }
  /// Runs the launcher in a process of its own, so that a test can send it signals.
  pid_t launch_apart(std::size_t size, const std::string& name) {
    const pid_t pid = fork();
    if (pid == 0) _exit(launch_copies(size, name));
    return pid;
  }
  TempFolder folder_;
};

TEST_F(Launcher, StartsAWorldInWhichRanksFindEachOther) {
  EXPECT_EQ(launch_copies(4, "Sums"), 0);
  for (int rank = 0; rank < 4; ++rank) EXPECT_THAT(note(concat("sum", rank)), ::testing::StartsWith("10 "));
}

TEST_F(Launcher, DividesTheProcessorsAmongTheRanks) {
  EXPECT_EQ(launch_copies(256 / 64, "Sums"), 0);
  const int threads = std::stoi(note("sum0").substr(3));
  EXPECT_EQ(threads, std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 4));
}

TEST_F(Launcher, ReturnsTheExitCodeOfTheFirstFailureAndStopsTheOthers) {
  const Clock::time_point start = Clock::now();
  EXPECT_EQ(launch_copies(3, "FailsOnRankOne"), 7);
  EXPECT_LT(seconds_since(start), 20);
}

TEST_F(Launcher, ReturnsTheSignalOfAKilledRankAfterTheOthersSaidWhy) {
  EXPECT_EQ(launch_copies(3, "LosesRankOneToASignal"), 128 + SIGKILL);
  EXPECT_THAT(note("error0"), ::testing::HasSubstr("rank 1 on "));
  EXPECT_THAT(note("error2"), ::testing::HasSubstr("rank 1 on "));
}

TEST_F(Launcher, PassesASignalOnAndLetsEveryRankSave) {
  for (const int number : {SIGTERM, SIGINT}) {
    const pid_t pid = launch_apart(2, "WaitsForASignal");
    ASSERT_TRUE(appears(folder_.path() / "ready0") && appears(folder_.path() / "ready1"));
    kill(pid, number);
    int status = 0;
    waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + number);
    for (const char* name : {"saved0", "saved1"}) EXPECT_EQ(note(name), std::to_string(number));
    for (const char* name : {"ready0", "ready1", "saved0", "saved1"}) std::filesystem::remove(folder_.path() / name);
  }
}

TEST_F(Launcher, TakesItsChildrenWithItWhenKilled) {
  const pid_t pid = launch_apart(2, "WaitsForASignal");
  ASSERT_TRUE(appears(folder_.path() / "ready0") && appears(folder_.path() / "ready1"));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  for (const char* name : {"ready0", "ready1"}) {
    const auto child = static_cast<pid_t>(std::stol(note(name)));
    const Clock::time_point deadline = after_seconds(5);
    // A dead process that its new parent has not collected yet still has an entry, with the state Z.
    const auto lives = [child] {
      std::ifstream stat(concat("/proc/", child, "/stat"));
      std::string id, command, state;
      return static_cast<bool>(stat >> id >> command >> state) && state != "Z";
    };
    while (lives() && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE(lives());
  }
}

TEST_F(Launcher, StartsAllRanksAgainWhenOneIsKilledAsOftenAsAllowed) {
  EXPECT_EQ(launch_copies(2, "DiesOnRankOneTheFirstTwoTimes", 2), 0);
  EXPECT_TRUE(was_started(2, 0) && was_started(2, 1));
  EXPECT_EQ(launch_copies(2, "DiesOnRankOneTheFirstTwoTimes", 1), 128 + SIGKILL);
}

TEST_F(Launcher, StartsAgainWhenRanksOnlyLostOneAnother) {
  EXPECT_EQ(launch_copies(2, "LosesOtherRanks", 1), 2);
  EXPECT_TRUE(was_started(1, 0) && was_started(1, 1));
}

TEST_F(Launcher, DoesNotStartAgainWhatTheUserMustMend) {
  EXPECT_EQ(launch_copies(2, "ComplainsLaterThanTheRankThatLosesIt", 5), 2);
  EXPECT_FALSE(was_started(1, 0));
}

// The launcher waits between two launches because its message does not fit into the pipe.
TEST_F(Launcher, HeedsASignalThatComesBetweenTwoLaunches) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  while (write(writer.get(), "filling", 1) == 1) {
  }
  fcntl(writer.get(), F_SETFL, 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(writer.get(), STDERR_FILENO);
    _exit(launch_copies(2, "LosesOtherRanks", 1000));
  }
  writer.close();
  ASSERT_TRUE(appears(folder_.path() / "start00") && appears(folder_.path() / "start01"));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_FALSE(was_started(1, 0));
  kill(pid, SIGTERM);
  int status = 0;
  std::array<char, 4096> bytes{};
  while (waitpid(pid, &status, WNOHANG) == 0) {
    [[maybe_unused]] const ssize_t drained = read(reader.get(), bytes.data(), bytes.size());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
  EXPECT_FALSE(was_started(2, 0));
}

TEST_F(Launcher, RefusesToStartNothing) { EXPECT_THROW(launch({}, {}), InternalError); }

}  // namespace
}  // namespace lriad

#include "dist/ranks.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "dist/rendezvous.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

World world_of(int64_t rank, int64_t size, const Descriptor& listener) {
  World world;
  world.rank = world.local_rank = rank;
  world.size = size;
  world.master_port = port_of(listener);
  world.token = "test";
  if (rank == 0) world.listen_fd = dup(listener.get());
  return world;
}

std::string error_of(const World& world, const RankBody& body, double timeout_s) {
  try {
    const auto communicator = make_communicator(world, at::kCPU, timeout_s);
    body(*communicator);
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

/// Where a forked rank leaves its error text.
struct Note {
  std::array<char, 2048> text;
};

void end_of_child(Note& note, const std::string& error) {
  put_text(note.text, error);
  _exit(error.empty() ? 0 : 2);
}

}  // namespace

std::vector<Outcome> run_threads(int64_t size, const RankBody& body, double timeout_s) {
  Descriptor listener = listen_on("127.0.0.1", 0);
  std::vector<Outcome> outcomes(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank, world = world_of(rank, size, listener)] {
      outcomes[static_cast<std::size_t>(rank)].error = error_of(world, body, timeout_s);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

std::vector<Outcome> run_processes(int64_t size, const RankBody& body, double timeout_s) {
  const auto count = static_cast<std::size_t>(size);
  Descriptor listener = listen_on("127.0.0.1", 0);
  auto* notes = static_cast<Note*>(
      mmap(nullptr, count * sizeof(Note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<Outcome> outcomes(count);
  std::vector<pid_t> pids;
  const Clock::time_point start = Clock::now();
  for (int64_t rank = 0; rank < size; ++rank) {
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const World world = world_of(rank, size, listener);
      listener.close();
      end_of_child(notes[rank], error_of(world, body, timeout_s));
    }
    pids.push_back(pid);
  }
  listener.close();
  std::size_t running = count;
  while (running > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (std::size_t rank = 0; rank < count; ++rank) {
      int status = 0;
      if (pids[rank] < 0 || waitpid(pids[rank], &status, WNOHANG | WUNTRACED) != pids[rank]) continue;
      outcomes[rank].seconds = seconds_since(start);
      if (WIFSIGNALED(status)) outcomes[rank].killed_by = WTERMSIG(status);
      if (!WIFSTOPPED(status)) {
        outcomes[rank].error = get_text(notes[rank].text);
        pids[rank] = -1;
      }
      --running;
    }
  }
  for (const pid_t pid : pids) {
    if (pid < 0) continue;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  munmap(notes, count * sizeof(Note));
  return outcomes;
}

TEST(Ranks, OfATestEndWithTheErrorOfTheirBody) {
  const auto outcomes = run_processes(2, [](Communicator& communicator) {
    communicator.barrier("start");
    communicator.barrier("end");
    if (communicator.rank() == 1) throw Error("on purpose");
  });
  EXPECT_EQ(outcomes[0].error, "");
  EXPECT_EQ(outcomes[1].error, "on purpose");
}

}  // namespace lriad

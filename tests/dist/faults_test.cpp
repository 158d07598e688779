#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "dist/ranks.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Steps of training as the communicator sees them; `fault` acts on `victim` in step 10.
RankBody steps_with_fault(int64_t victim, const std::function<void()>& fault) {
  return [victim, fault](Communicator& communicator) {
    for (int step = 1; step <= 1000; ++step) {
      communicator.set_position(concat("step ", step, ", rollout"));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (step == 10 && communicator.rank() == victim) fault();
      at::Tensor flat = at::ones({1000});
      communicator.sum(flat, "gradients");
    }
  };
}

/// Expects that every other rank stopped within `seconds` with an error naming the victim, hosts and the collective.
void expect_all_name(const std::vector<Outcome>& outcomes, std::size_t victim, double seconds,
                     const std::string& text) {
  for (std::size_t rank = 0; rank < outcomes.size(); ++rank) {
    if (rank == victim) continue;
    EXPECT_THAT(outcomes[rank].error,
                AllOf(HasSubstr(concat("rank ", victim, " on ")), HasSubstr("step "), HasSubstr(text),
                      HasSubstr("of gradients"), HasSubstr(concat("rank ", rank, " on "))));
    EXPECT_LT(outcomes[rank].seconds, seconds) << "rank " << rank;
  }
}

class VictimInWorld : public ::testing::TestWithParam<std::pair<int64_t, int64_t>> {};
INSTANTIATE_TEST_SUITE_P(Worlds, VictimInWorld,
                         ::testing::Values(std::pair{2, 0}, std::pair{2, 1}, std::pair{4, 0}, std::pair{4, 2}));

TEST_P(VictimInWorld, KilledIsNamedByAllOthersWithinSeconds) {
  const auto [size, victim] = GetParam();
  const auto outcomes = run_processes(size, steps_with_fault(victim, [] { raise(SIGKILL); }), 60);
  EXPECT_EQ(outcomes[static_cast<std::size_t>(victim)].killed_by, SIGKILL);
  expect_all_name(outcomes, static_cast<std::size_t>(victim), 10, "last heartbeat");
}

TEST_P(VictimInWorld, StoppedIsNamedByAllOthersWithinTheTimeLimit) {
  const auto [size, victim] = GetParam();
  const auto outcomes = run_processes(size, steps_with_fault(victim, [] { raise(SIGSTOP); }), 2);
  expect_all_name(outcomes, static_cast<std::size_t>(victim), 12, "last heartbeat");
}

TEST_P(VictimInWorld, ThatFailsByItselfTellsAllOthers) {
  const auto [size, victim] = GetParam();
  const auto outcomes = run_processes(size, steps_with_fault(victim, [] { throw Error("[train] disk full"); }), 60);
  EXPECT_EQ(outcomes[static_cast<std::size_t>(victim)].error, "[train] disk full");
  expect_all_name(outcomes, static_cast<std::size_t>(victim), 10, "left because of an error of its own");
}

TEST_P(VictimInWorld, ThatIsAliveButLateIsNamedAfterTheTimeLimit) {
  const auto [size, victim] = GetParam();
  const auto late = [] { std::this_thread::sleep_for(std::chrono::seconds(3)); };
  const auto outcomes = run_processes(size, steps_with_fault(victim, late), 1.5);
  expect_all_name(outcomes, static_cast<std::size_t>(victim), 5, "no answer within 1.5 s");
}

TEST(Faults, ARankThatEndsEarlyIsNamed) {
  const auto outcomes = run_processes(2, [](Communicator& communicator) {
    communicator.barrier("start");
    if (communicator.rank() == 0) communicator.barrier("second");
  });
  EXPECT_THAT(outcomes[0].error, HasSubstr("has ended while others still need it"));
  EXPECT_EQ(outcomes[1].error, "");
}

TEST(Faults, ALongPhaseWithoutCollectivesNoticesALossByCheck) {
  const auto outcomes = run_processes(4, [](Communicator& communicator) {
    communicator.barrier("start");
    if (communicator.rank() == 3) raise(SIGKILL);
    for (int k = 0; k < 500; ++k) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      communicator.check();
    }
  });
  for (std::size_t rank = 0; rank < 3; ++rank) EXPECT_THAT(outcomes[rank].error, HasSubstr("rank 3 on "));
}

}  // namespace
}  // namespace lriad

#include "lriad/dist/communicator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "dist/ranks.h"
#include "dist/socket.h"
#include "lriad/core/error.h"
#include "lriad/dist/rank_sums.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

auto ended_well() { return Each(Field(&Outcome::error, IsEmpty())); }

class CommunicatorOfSize : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Worlds, CommunicatorOfSize, ::testing::Values(1, 2, 4));

TEST_P(CommunicatorOfSize, SumsInRankOrderToTheSameBytesOnEveryRank) {
  const int64_t size = GetParam();
  std::vector<at::Tensor> results(static_cast<std::size_t>(size));
  const auto part = [](int64_t rank, at::ScalarType type) {
    return (at::arange(3'000'000, at::kDouble) * 0.37 + 1.0 / (3.0 + static_cast<double>(rank))).to(type);
  };
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const auto outcomes = run_threads(size, [&](Communicator& communicator) {
      at::Tensor flat = part(communicator.rank(), type);
      communicator.sum(flat, "gradients");
      results[static_cast<std::size_t>(communicator.rank())] = flat;
    });
    ASSERT_THAT(outcomes, ended_well());
    at::Tensor expected = part(0, type).to(at::kDouble);
    for (int64_t rank = 1; rank < size; ++rank) expected += part(rank, type).to(at::kDouble);
    for (const at::Tensor& result : results) EXPECT_TRUE(at::equal(result, expected.to(type)));
    std::vector<at::Tensor> parts;
    for (int64_t rank = 0; rank < size; ++rank) parts.push_back(part(rank, type));
    EXPECT_TRUE(at::equal(sum_in_rank_order(at::stack(parts)), expected.to(type)));
  }
}

TEST_P(CommunicatorOfSize, BroadcastsTheTensorOfRankZeroWhateverItsType) {
  const auto outcomes = run_threads(GetParam(), [](Communicator& communicator) {
    for (const at::ScalarType type : {at::kBFloat16, at::kLong, at::kFloat}) {
      at::Tensor flat = at::full({1'000'003}, communicator.rank() + 5, type);
      communicator.broadcast(flat, "weights");
      if (!at::equal(flat, at::full({1'000'003}, 5, type))) throw Error("another tensor arrived");
    }
  });
  EXPECT_THAT(outcomes, ended_well());
}

TEST_P(CommunicatorOfSize, GathersBytesOfDifferentLengthsOnEveryRank) {
  const int64_t size = GetParam();
  const auto outcomes = run_threads(size, [size](Communicator& communicator) {
    const auto text_of = [](int64_t rank) { return std::string(static_cast<std::size_t>(rank * 300'000), 'a') + '\0'; };
    const auto parts = communicator.gather(text_of(communicator.rank()), "texts");
    if (static_cast<int64_t>(parts.size()) != size) throw Error("wrong number of parts");
    for (int64_t rank = 0; rank < size; ++rank) {
      if (parts[static_cast<std::size_t>(rank)] != text_of(rank)) throw Error("another text arrived");
    }
  });
  EXPECT_THAT(outcomes, ended_well());
}

TEST_P(CommunicatorOfSize, LetsNobodyPassABarrierBeforeAllHaveCome) {
  const int64_t size = GetParam();
  std::atomic<int64_t> arrived = 0;
  const auto outcomes = run_threads(size, [&](Communicator& communicator) {
    for (int64_t round = 1; round <= 50; ++round) {
      ++arrived;
      communicator.barrier("round");
      if (arrived < round * size) throw Error("somebody was missing");
      communicator.barrier("end of round");
    }
  });
  EXPECT_THAT(outcomes, ended_well());
}

TEST_P(CommunicatorOfSize, SumsEmptyTensorsAndEmptyTexts) {
  const auto outcomes = run_threads(GetParam(), [](Communicator& communicator) {
    at::Tensor flat = at::empty({0});
    communicator.sum(flat, "nothing");
    communicator.gather("", "nothing");
    communicator.check();
  });
  EXPECT_THAT(outcomes, ended_well());
}

TEST(Communicator, AgreesOnEqualItemsAndNamesTheOneThatDiffers) {
  const auto outcomes = run_threads(4, [](Communicator& communicator) {
    require_agreement(communicator, {{"config", "abc 1"}, {"data", ""}});
    require_agreement(communicator, {{"config", "abc"}, {"data", communicator.rank() == 2 ? "beef" : "cafe"}});
  });
  EXPECT_THAT(outcomes,
              Each(Field(&Outcome::error,
                         HasSubstr("ranks do not agree on data: beef on rank(s) 2; cafe on rank(s) 0, 1, 3"))));
}

TEST(Communicator, TellsRanksThatCallDifferentCollectivesWhoCallsWhat) {
  const auto outcomes = run_threads(2, [](Communicator& communicator) {
    at::Tensor flat = at::ones({4});
    if (communicator.rank() == 0) communicator.sum(flat, "gradients");
    if (communicator.rank() == 1) communicator.broadcast(flat, "weights");
  });
  EXPECT_THAT(outcomes,
              Each(Field(&Outcome::error, AllOf(HasSubstr("ranks call different collectives: rank 1 on "),
                                                HasSubstr("broadcast of weights"), HasSubstr("sum of gradients")))));
}

TEST(Communicator, TellsRanksThatSumTensorsOfDifferentSizes) {
  const auto outcomes = run_threads(2, [](Communicator& communicator) {
    at::Tensor flat = at::ones({4 + communicator.rank()});
    communicator.sum(flat, "gradients");
  });
  EXPECT_THAT(outcomes, Each(Field(&Outcome::error, AllOf(HasSubstr("16 bytes"), HasSubstr("20 bytes")))));
}

TEST(Communicator, RefusesATensorItCannotSum) {
  const auto outcomes = run_threads(2, [](Communicator& communicator) {
    at::Tensor flat = at::ones({4}, at::kLong);
    communicator.sum(flat, "counts");
  });
  EXPECT_THAT(outcomes[0].error, HasSubstr("sum of counts: dtype Long, expected float32 or float64"));
}

World world_at(int64_t rank, int64_t size, int64_t port, const std::string& token) {
  World world;
  world.rank = rank;
  world.size = size;
  world.master_port = port;
  world.token = token;
  return world;
}

std::string error_of(const World& world, double timeout_s) {
  try {
    make_communicator(world, at::kCPU, timeout_s)->barrier("start");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

int64_t free_port() { return port_of(listen_on("127.0.0.1", 0)); }

TEST(Rendezvous, RefusesAWrongTokenAndAWrongWorldSizeAndTakesTheRightRank) {
  const int64_t port = free_port();
  std::string zero, good, other_program, bigger, taken;
  std::thread rank_zero([&] { zero = error_of(world_at(0, 2, port, "secret"), 20); });
  other_program = error_of(world_at(1, 2, port, "guess"), 10);
  bigger = error_of(world_at(1, 3, port, "secret"), 10);
  good = error_of(world_at(1, 2, port, "secret"), 10);
  rank_zero.join();
  EXPECT_THAT(other_program, HasSubstr("refused rank 1: the token is another run's"));
  EXPECT_THAT(bigger, HasSubstr("refused rank 1: the world size is 3, rank 0 has 2"));
  EXPECT_EQ(good, "");
  EXPECT_EQ(zero, "");
}

TEST(Rendezvous, IsNotHeldUpByConnectionsThatSendNothingOrNonsense) {
  const int64_t port = free_port();
  std::string zero, good;
  std::thread rank_zero([&] { zero = error_of(world_at(0, 2, port, ""), 20); });
  const Clock::time_point start = Clock::now();
  const Descriptor silent = connect_to("127.0.0.1", port, after_seconds(5));
  const Descriptor noisy = connect_to("127.0.0.1", port, after_seconds(5));
  const std::string nonsense(300, 'x');
  send_all(noisy.get(), nonsense.data(), nonsense.size(), {after_seconds(1), -1});
  good = error_of(world_at(1, 2, port, ""), 10);
  rank_zero.join();
  EXPECT_EQ(good, "");
  EXPECT_EQ(zero, "");
  EXPECT_LT(seconds_since(start), 5);
}

TEST(Rendezvous, NamesTheRanksThatDoNotComeOnEveryRankThatDid) {
  const int64_t port = free_port();
  std::string zero, one;
  std::thread rank_zero([&] { zero = error_of(world_at(0, 4, port, ""), 2); });
  std::thread rank_one([&] { one = error_of(world_at(1, 4, port, ""), 2); });
  rank_zero.join();
  rank_one.join();
  EXPECT_THAT(zero, HasSubstr("rank(s) 2, 3 of 4 did not join"));
  EXPECT_THAT(one, HasSubstr("rank(s) 2, 3 of 4 did not join"));
}

TEST(Rendezvous, SaysThatRankZeroCannotBeReached) {
  EXPECT_THAT(error_of(world_at(1, 2, free_port(), ""), 1), HasSubstr("cannot reach rank 0 at 127.0.0.1:"));
}

TEST(Rendezvous, SaysThatThePortIsTaken) {
  const Descriptor listener = listen_on("127.0.0.1", 0);
  EXPECT_THAT(error_of(world_at(0, 2, port_of(listener), ""), 1), HasSubstr("rank 0 cannot listen on 127.0.0.1:"));
}

TEST(Rendezvous, ListensOnTheGivenAddressOnly) {
  const Descriptor listener = listen_on("127.0.0.1", 0);
  EXPECT_THROW(connect_to("127.0.0.2", port_of(listener), after_seconds(0.3)), Error);
}

TEST(Rendezvous, RefusesARankOutsideTheWorld) {
  EXPECT_THROW(make_communicator(world_at(2, 2, 1, ""), at::kCPU, 1), InternalError);
  EXPECT_THROW(make_communicator(world_at(0, 1, 1, ""), at::kCPU, 0), InternalError);
}

TEST(Rendezvous, RefusesARingOfCpusAlsoForOneProcess) {
  for (const int64_t size : {1, 2}) {
    EXPECT_THAT([&] { make_communicator(world_at(0, size, 1, ""), at::kCPU, 1, AllReduce::kRing); },
                ThrowsMessage<Error>(HasSubstr("distributed.all_reduce is ring, NCCL's way to sum over GPUs")));
  }
}

}  // namespace
}  // namespace lriad

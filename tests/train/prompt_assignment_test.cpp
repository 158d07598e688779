#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <thread>

#include "dist/socket.h"
#include "lriad/core/error.h"
#include "lriad/dist/rank_sums.h"
#include "train/batches.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Load {
  std::vector<int64_t> costs, prompts;
};

Load loads_of(const std::vector<int64_t>& costs, int64_t num_ranks) {
  Load load{std::vector<int64_t>(static_cast<std::size_t>(num_ranks)), {}};
  load.prompts = load.costs;
  const std::vector<int64_t> ranks = assign_prompts(costs, num_ranks);
  for (std::size_t prompt_index = 0; prompt_index < costs.size(); ++prompt_index) {
    load.costs.at(static_cast<std::size_t>(ranks[prompt_index])) += costs[prompt_index];
    load.prompts[static_cast<std::size_t>(ranks[prompt_index])] += 1;
  }
  return load;
}

TEST(AssignPrompts, PutsCostlyPromptsOnDifferentRanks) {
  EXPECT_THAT(assign_prompts({9, 9, 1, 1, 1, 9, 1, 9}, 4), ElementsAre(0, 1, 0, 1, 2, 2, 3, 3));
  EXPECT_THAT(assign_prompts({5, 5, 5, 5}, 2), ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(assign_prompts({}, 3), ElementsAre());
}

TEST(AssignPrompts, GivesEveryRankTheSameNumberOneMoreOrLess) {
  EXPECT_THAT(loads_of({100, 1, 1, 1, 1, 1}, 2).prompts, ElementsAre(3, 3));
  std::vector<int64_t> prompts = loads_of({7, 6, 5, 4, 3, 2, 1}, 3).prompts;
  std::ranges::sort(prompts);
  EXPECT_THAT(prompts, ElementsAre(2, 2, 3));
  EXPECT_THAT(loads_of({4}, 3).prompts, ElementsAre(1, 0, 0));
}

TEST(AssignPrompts, SharesTheCostMoreEvenlyThanTurnByTurn) {
  std::vector<int64_t> costs;
  for (int64_t k = 0; k < 64; ++k) costs.push_back(300 + 997 * k % 2048);
  const Load load = loads_of(costs, 8);
  std::vector<int64_t> in_turn(8);
  for (std::size_t k = 0; k < costs.size(); ++k) in_turn[k % 8] += costs[k];
  EXPECT_THAT(load.prompts, Each(8));
  EXPECT_LT(std::ranges::max(load.costs), 1.02 * std::accumulate(costs.begin(), costs.end(), 0.0) / 8);
  EXPECT_LT(std::ranges::max(load.costs), std::ranges::max(in_turn));
}

/// The errors of ranks that compare these numbers, one list per rank, by require_same().
std::vector<std::string> errors_of(const std::vector<std::vector<double>>& numbers) {
  Descriptor listener = listen_on("127.0.0.1", 0);
  const int64_t port = port_of(listener);
  std::vector<std::string> errors(numbers.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < numbers.size(); ++rank) {
    World world;
    world.rank = static_cast<int64_t>(rank);
    world.size = std::ssize(numbers);
    world.master_port = port;
    if (rank == 0) world.listen_fd = listener.release();
    threads.emplace_back([&, rank, world] {
      try {
        const auto communicator = make_communicator(world, at::kCPU, 20);
        require_same(*communicator, numbers[rank], "norms", "step 5");
      } catch (const LostRank& error) {
        errors[rank] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

TEST(RequireSame, NamesTheRankThatHasDivergedOnEveryRank) {
  EXPECT_THAT(errors_of({{1, NAN}, {1 + 1e-9, NAN}}), Each(""));
  EXPECT_THAT(errors_of({{1, 2}, {1, 2}, {1, 2.5}}),
              Each(AllOf(HasSubstr("rank 2 on "), HasSubstr("has diverged from rank 0 at step 5"),
                         HasSubstr("norms are 1 and 2.5"), HasSubstr("on rank 0 1 and 2;"))));
  EXPECT_THAT(errors_of({{1}, {NAN}}), Each(HasSubstr("rank 1 on ")));
}

}  // namespace
}  // namespace lriad

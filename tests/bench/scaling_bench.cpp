// Estimates how well steps of GRPO scale over ranks. Prompts with recorded completion lengths are assigned to ranks as
// in a run, a cost model gives each rank's time, and the slowest rank determines the time of the step. Measured are the
// lengths, the assignment and the exchanges of small data (over the loopback, all ranks on this machine). Modelled are
// the computation (7B on an A40: bytes of weights and cache per generated token, operations per row) and the sum of
// gradients (ring: latency, bandwidth).
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <thread>

#include "dist/socket.h"
#include "lriad/dist/communicator.h"
#include "train/batches.h"

namespace lriad {
namespace {

constexpr int64_t kPromptsPerRank = 2;
constexpr double kTextTokens = 88;  // of a prompt, besides its image

// Qwen2-VL-7B on an A40 at 85% of its bandwidth and 95 TFLOP/s in bfloat16.
constexpr double kBytesPerSecond = 0.85 * 696e9, kOperationsPerSecond = 95e12;
constexpr double kWeightBytes = 14.14e9, kCacheBytesPerToken = 57344;
constexpr double kRowOperations = 13.05e9, kHeadOperations = 1.09e9, kTowerOperationsPerToken = 3.32e12 / 512;

// Sum of the adapter's gradient (1,261,568 float32) by a ring: PCIe within a machine of 4, 100 Gbit/s between machines.
constexpr double kGradientBytes = 5.05e6;
constexpr int kExchangesPerStep = 8;

struct Prompt {
  double image_tokens = 0;
  std::vector<double> lengths;
  double tokens() const { return kTextTokens + image_tokens; }
};

/// Seconds of a rank: generation of all its prompts together until the last completion ends, then the training passes.
double rank_seconds(const std::vector<const Prompt*>& prompts) {
  double longest = 0, decode = 0, operations = 0;
  for (const Prompt* prompt : prompts) longest = std::max(longest, std::ranges::max(prompt->lengths));
  for (double position = 0; position < longest; ++position) {
    double cache = 0;
    for (const Prompt* prompt : prompts) {
      const auto alive = std::ranges::count_if(prompt->lengths, [&](double length) { return length > position; });
      cache += static_cast<double>(alive) * (prompt->tokens() + position);
    }
    decode += (kWeightBytes + kCacheBytesPerToken * cache) / kBytesPerSecond;
  }
  for (const Prompt* prompt : prompts) {
    const double completions = std::accumulate(prompt->lengths.begin(), prompt->lengths.end(), 0.0);
    operations += prompt->tokens() * kRowOperations + prompt->image_tokens * kTowerOperationsPerToken;  // prefill
    operations += 3 * ((prompt->tokens() + completions) * kRowOperations + completions * kHeadOperations);
  }
  return decode + operations / kOperationsPerSecond;
}

double ring_seconds(int64_t ranks) {
  if (ranks == 1) return 0;
  const bool one_machine = ranks <= 4;
  const double latency = one_machine ? 10e-6 : 30e-6, bandwidth = one_machine ? 10e9 : 12.5e9;
  const auto n = static_cast<double>(ranks);
  return 2 * (n - 1) * latency + 2 * (n - 1) / n * kGradientBytes / bandwidth;
}

/// Seconds of a gather of 1500 bytes per rank by the host backend, with all ranks as threads of this process.
double measured_exchange(int64_t ranks) {
  if (ranks == 1) return 0;
  constexpr int kRounds = 50;
  Descriptor listener = listen_on("127.0.0.1", 0);
  const int64_t port = port_of(listener);
  double seconds = 0;
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    World world;
    world.rank = rank;
    world.size = ranks;
    world.master_port = port;
    if (rank == 0) world.listen_fd = listener.release();
    threads.emplace_back([world, &seconds] {
      const auto communicator = make_communicator(world, at::kCPU, 120);
      communicator->barrier("start");
      const Clock::time_point start = Clock::now();
      for (int round = 0; round < kRounds; ++round) communicator->gather(std::string(1500, 'x'), "groups");
      if (world.rank == 0) seconds = seconds_since(start) / kRounds;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return seconds;
}

enum class Assignment { kInTurn, kPredicted, kKnownLengths };

std::vector<int64_t> ranks_of(const std::vector<const Prompt*>& batch, int64_t ranks, Assignment assignment,
                              double limit) {
  std::vector<int64_t> costs;
  for (const Prompt* prompt : batch) {
    const auto generations = static_cast<double>(prompt->lengths.size());
    const double known = std::accumulate(prompt->lengths.begin(), prompt->lengths.end(), 0.0);
    const double completions = assignment == Assignment::kKnownLengths ? known : generations * limit / 2;
    costs.push_back(static_cast<int64_t>(prompt->tokens() + completions));
  }
  if (assignment != Assignment::kInTurn) return assign_prompts(costs, ranks);
  std::vector<int64_t> result(batch.size());
  for (std::size_t prompt_index = 0; prompt_index < batch.size(); ++prompt_index)
    result[prompt_index] = static_cast<int64_t>(prompt_index) % ranks;
  return result;
}

/// Prompts per second over kSteps steps whose prompts are chosen at random from the recorded ones.
double throughput(const std::vector<Prompt>& prompts, int64_t ranks, Assignment assignment, double limit,
                  double exchange) {
  constexpr int kSteps = 400;
  std::mt19937_64 random(7);  // the same prompts for each kind of assignment
  double seconds = 0;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<const Prompt*> batch;
    for (int64_t k = 0; k < ranks * kPromptsPerRank; ++k) batch.push_back(&prompts[random() % prompts.size()]);
    const std::vector<int64_t> assigned = ranks_of(batch, ranks, assignment, limit);
    double slowest = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      std::vector<const Prompt*> own;
      for (std::size_t prompt_index = 0; prompt_index < batch.size(); ++prompt_index) {
        if (assigned[prompt_index] == rank) own.push_back(batch[prompt_index]);
      }
      slowest = std::max(slowest, rank_seconds(own));
    }
    seconds += slowest + ring_seconds(ranks) + kExchangesPerStep * exchange;
  }
  return static_cast<double>(kSteps * ranks * kPromptsPerRank) / seconds;
}

void print_table(const std::string& title, const std::vector<Prompt>& prompts, double limit,
                 const std::vector<std::pair<int64_t, double>>& exchanges) {
  std::cout << '\n' << title << "\n\n| ranks | in turn | by predicted cost | by known lengths |\n|--:|--:|--:|--:|\n";
  const double one = throughput(prompts, 1, Assignment::kInTurn, limit, 0);
  for (const auto& [ranks, exchange] : exchanges) {
    std::cout << "| " << ranks;
    for (const Assignment assignment : {Assignment::kInTurn, Assignment::kPredicted, Assignment::kKnownLengths}) {
      const double times = throughput(prompts, ranks, assignment, limit, exchange) / one;
      std::cout << " | " << times << "x (" << 100 * times / static_cast<double>(ranks) << "%)";
    }
    std::cout << " |\n";
  }
}

int run(const std::string& file) {
  const nlohmann::json recorded = nlohmann::json::parse(std::ifstream(file));
  const auto lengths = recorded.at("lengths").get<std::vector<std::vector<double>>>();
  const auto limit = recorded.at("max_completion_length").get<double>();
  std::cout << std::fixed << std::setprecision(2) << "lengths: " << recorded.at("source").get<std::string>() << '\n';
  std::vector<std::pair<int64_t, double>> exchanges;
  for (const int64_t ranks : {1, 2, 4, 16, 64}) {
    exchanges.emplace_back(ranks, measured_exchange(ranks));
    std::cout << ranks << " ranks: exchange of small data " << 1e3 * exchanges.back().second
              << " ms (measured here), sum of gradients " << 1e3 * ring_seconds(ranks) << " ms (modelled)\n";
  }
  std::vector<Prompt> equal, mixed, stretched;
  std::mt19937_64 random(3);
  for (const std::vector<double>& group : lengths) {
    equal.push_back({512, group});
    mixed.push_back({static_cast<double>(128 + random() % 385), group});
    stretched.push_back(mixed.back());
    for (double& length : stretched.back().lengths) length = std::ceil(length * 256 / limit);
  }
  std::cout << "\nTimes the prompts per second of one rank (share of ideal), " << kPromptsPerRank
            << " prompts a rank:\n";
  print_table("lengths as recorded, all images 512 tokens", equal, limit, exchanges);
  print_table("lengths as recorded, images of 128 to 512 tokens", mixed, limit, exchanges);
  print_table("lengths stretched to a limit of 256, images of 128 to 512 tokens", stretched, 256, exchanges);
  return 0;
}

}  // namespace
}  // namespace lriad

int main(int argc, char** argv) { return lriad::run(argc > 1 ? argv[1] : LRIAD_BENCH_DIR "/completion_lengths.json"); }

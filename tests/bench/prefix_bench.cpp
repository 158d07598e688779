// Measures what sharing a prompt saves in the training passes (reference, policy, backward), and how their time grows
// with the number of completions G and the length of the prompt P. One thread; each time is the median of three rounds
// that alternate between shared and own prompts. Usage: bench_prefix [FILE.csv]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <vector>

#include "support/tiny_model.h"

namespace lriad {
namespace {

constexpr int64_t kTokens = 64;  // per completion
constexpr int kRounds = 3;

struct Point {
  int64_t prompt = 0, generations = 0;
  int64_t shared_rows = 0, own_rows = 0;
  double shared_s = 0, own_s = 0;
};

Qwen2Vl bench_model() {
  ModelConfig config = tiny_config();
  config.text = {2048, 256, 768, 4, 8, 2, 32, 1e-6, 1e4, {4, 6, 6}};
  Qwen2Vl model = tiny_model(config, 1, at::kFloat);
  add_tiny_adapter(model, 2);
  return model;
}

double seconds_of_passes(Qwen2Vl& model, const Group& group, Prefix prefix) {
  const auto start = std::chrono::steady_clock::now();
  const PackedGroups packed = pack_groups(addresses_of({&group, 1}), model->config(), prefix, at::kCPU);
  model->enable_lora(false);
  const at::Tensor reference_M = token_logprobs(model, packed, 1).logp_M;
  model->enable_lora(true);
  token_logprobs(model, packed, 1, [&](const at::Tensor& logp_C, int64_t begin) {
    return reference_M.slice(0, begin, begin + logp_C.size(0)) - logp_C;
  }).backward();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

Point measure(Qwen2Vl& model, int64_t prompt, int64_t generations) {
  const GenerationPrompt text = tiny_prompt(model, prompt, {}, 3);
  const Group group = tiny_group(text, std::vector<int64_t>(static_cast<std::size_t>(generations), kTokens), 4);
  std::vector<double> shared, own;
  for (int round = 0; round < kRounds; ++round) {
    shared.push_back(seconds_of_passes(model, group, Prefix::kShared));
    own.push_back(seconds_of_passes(model, group, Prefix::kOwn));
  }
  return {prompt,         generations, packed_rows(group, Prefix::kShared), packed_rows(group, Prefix::kOwn),
          median(shared), median(own)};
}

/// Squared correlation of seconds and rows; 1 if the time is linear in the rows.
double linearity(const std::vector<Point>& points) {
  double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  for (const Point& point : points) {
    const auto rows = static_cast<double>(point.shared_rows);
    n += 1, x += rows, y += point.shared_s;
    xx += rows * rows, yy += point.shared_s * point.shared_s, xy += rows * point.shared_s;
  }
  const double covariance = n * xy - x * y;
  return covariance * covariance / ((n * xx - x * x) * (n * yy - y * y));
}

void print(const Point& p) {
  std::printf("| %lld | %lld | %lld | %lld | %.3f | %.3f | %.2fx | %.2fx |\n", static_cast<long long>(p.prompt),
              static_cast<long long>(p.generations), static_cast<long long>(p.shared_rows),
              static_cast<long long>(p.own_rows), p.shared_s, p.own_s,
              static_cast<double>(p.own_rows) / static_cast<double>(p.shared_rows), p.own_s / p.shared_s);
  std::fflush(stdout);
}

std::vector<Point> sweep(Qwen2Vl& model, const std::vector<std::pair<int64_t, int64_t>>& shapes) {
  std::vector<Point> points;
  for (const auto& [prompt, generations] : shapes) {
    points.push_back(measure(model, prompt, generations));
    print(points.back());
  }
  return points;
}

void write_csv(const char* path, const std::vector<Point>& points) {
  std::ofstream file(path);
  file << "prompt,generations,shared_rows,own_rows,shared_s,own_s\n";
  for (const Point& p : points) {
    file << p.prompt << ',' << p.generations << ',' << p.shared_rows << ',' << p.own_rows << ',' << p.shared_s << ','
         << p.own_s << '\n';
  }
}

}  // namespace
}  // namespace lriad

int main(int argc, char** argv) {
  using namespace lriad;
  at::set_num_threads(1);
  Qwen2Vl model = bench_model();
  measure(model, 100, 2);
  std::printf("| P | G | rows, shared | rows, own | s, shared | s, own | rows saved | time saved |\n");
  std::printf("|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  std::vector<Point> by_generations = sweep(model, {{600, 2}, {600, 4}, {600, 8}, {600, 16}, {600, 32}});
  const std::vector<Point> by_prompt = sweep(model, {{100, 8}, {300, 8}, {1000, 8}, {1500, 8}, {2000, 8}});
  std::printf("\nseconds against P + G (R - 1) rows: R^2 %.4f over G, %.4f over P\n", linearity(by_generations),
              linearity(by_prompt));
  by_generations.insert(by_generations.end(), by_prompt.begin(), by_prompt.end());
  if (argc > 1) write_csv(argv[1], by_generations);
}

// How much of the speed of pure decoding an evaluation keeps when rows take the next prompt as theirs ends, and when
// whole batches are waited for, by the processor's time. One thread, a small random model; lengths are about geometric.
// Prompts are computed once each way, so their time is left out; vision is not part of it. Usage: bench_stream
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <ctime>
#include <numeric>
#include <vector>

#include "lriad/generation/generate_stream.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

constexpr int64_t kRows = 16, kPrompts = 320, kMaxTokens = 160, kEnds = 32;

/// Of the processor, which other work on the machine does not change much.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Time and tokens of decoding, without the passes over prompts, which end at the first token after them.
struct Decoding {
  double time = 0;  ///< seconds
  int64_t tokens = 0;
  double speed() const { return static_cast<double>(tokens) / time; }
};

/// Of 2,048 tokens `ends` end a completion: 1 of 64 or none.
Qwen2Vl bench_model(int64_t ends) {
  ModelConfig config = tiny_config();
  config.text = {2048, 256, 768, 4, 8, 2, 32, 1e-6, 1e4, {4, 6, 6}};
  config.eos_token_ids.resize(static_cast<std::size_t>(ends));
  std::iota(config.eos_token_ids.begin(), config.eos_token_ids.end(), int64_t{100});
  Qwen2Vl model = tiny_model(config, 1, at::kFloat);
  const at::NoGradGuard no_grad;
  model->named_parameters()["lm_head.weight"].mul_(0.05);  // nearly uniform, so that all tokens are as likely
  return model;
}

std::vector<GenerationPrompt> prompts(Qwen2Vl& model) {
  std::vector<GenerationPrompt> all;
  for (uint32_t i = 0; i < kPrompts; ++i) {
    all.push_back(tiny_prompt(model, 48 + i % 5, {}, i));
    all.back().prompt = i;
  }
  return all;
}

GenerationSettings settings() {
  GenerationSettings settings;
  settings.max_new_tokens = kMaxTokens;
  settings.seed = 3;
  return settings;
}

class TimedStream : public PromptStream {
 public:
  explicit TimedStream(std::vector<GenerationPrompt> prompts) : prompts_(std::move(prompts)) {}
  int64_t next_length() override { return next_ < prompts_.size() ? std::ssize(prompts_[next_].ids) : 0; }
  std::vector<GenerationPrompt> take(int64_t most, int64_t) override {
    const auto end = std::min(prompts_.size(), next_ + static_cast<std::size_t>(most));
    std::vector<GenerationPrompt> taken(prompts_.begin() + static_cast<std::ptrdiff_t>(next_),
                                        prompts_.begin() + static_cast<std::ptrdiff_t>(end));
    next_ = end;
    if (!taken.empty()) prompt_pass_ = seconds();
    return taken;
  }
  void give(uint32_t, Completion&& completion) override { tokens += std::ssize(completion.ids) - 1; }
  void each_token() {
    if (prompt_pass_) prompt_seconds += seconds() - *prompt_pass_;
    prompt_pass_.reset();
  }
  double prompt_seconds = 0;
  int64_t tokens = 0;

 private:
  std::vector<GenerationPrompt> prompts_;
  std::size_t next_ = 0;
  std::optional<double> prompt_pass_;
};

Decoding in_a_stream(Qwen2Vl& model, const std::vector<GenerationPrompt>& all) {
  TimedStream stream(all);
  GenerationSettings with = settings();
  with.each_token = [&] { stream.each_token(); };
  const double start = seconds();
  generate_stream(model, stream, with, [](int64_t) { return kRows; });
  return {seconds() - start - stream.prompt_seconds, stream.tokens};
}

Decoding in_batches(Qwen2Vl& model, const std::vector<GenerationPrompt>& all) {
  Decoding result;
  std::optional<double> first;
  GenerationSettings with = settings();
  with.each_token = [&] {
    if (!first) first = seconds();
  };
  for (auto batch = all.begin(); batch != all.end(); batch += kRows) {
    first.reset();
    for (const auto& rows : generate(model, {batch, batch + kRows}, with)) {
      result.tokens += std::ssize(rows.front().ids) - 1;
    }
    result.time += seconds() - *first;
  }
  return result;
}

/// Rows that all begin and end together.
Decoding pure(const std::vector<GenerationPrompt>& all) {
  Qwen2Vl model = bench_model(0);
  return in_batches(model, {all.begin(), all.begin() + 2 * kRows});
}

int run() {
  at::set_num_threads(1);
  Qwen2Vl model = bench_model(kEnds);
  const auto all = prompts(model);
  std::printf("| | tokens | s | tokens/s | of pure decoding |\n|---|--:|--:|--:|--:|\n");
  const Decoding best = pure(all), batches = in_batches(model, all), stream = in_a_stream(model, all),
                 again = pure(all);
  const double speed = (best.speed() + again.speed()) / 2;
  const auto print = [&](const char* name, const Decoding& d) {
    std::printf("| %s | %lld | %.2f | %.0f | %.2f |\n", name, static_cast<long long>(d.tokens), d.time, d.speed(),
                d.speed() / speed);
  };
  print("pure decoding", best);
  print("batch by batch", batches);
  print("rows kept full", stream);
  print("pure decoding again", again);
  return 0;
}

}  // namespace
}  // namespace lriad

int main() { return lriad::run(); }

// Rows that take the next prompt when their completion ends, beside generate(), in float64.
#include "lriad/generation/generate_stream.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "support/tiny_model.h"

namespace lriad {
namespace {

/// Prompts in the given order, and what has become of them.
class ListedPrompts : public PromptStream {
 public:
  explicit ListedPrompts(std::vector<GenerationPrompt> prompts) : prompts_(std::move(prompts)) {}
  int64_t next_length() override { return next_ < prompts_.size() ? std::ssize(prompts_[next_].ids) : 0; }
  std::vector<GenerationPrompt> take(int64_t most, int64_t longest) override {
    std::vector<GenerationPrompt> taken;
    while (std::ssize(taken) < most && next_length() > 0 && next_length() <= longest)
      taken.push_back(prompts_[next_++]);
    if (!taken.empty()) ++times_taken;
    return taken;
  }
  void give(uint32_t prompt, Completion&& completion) override {
    EXPECT_TRUE(completions.emplace(prompt, std::move(completion)).second) << prompt;
  }
  std::map<uint32_t, Completion> completions;
  int64_t times_taken = 0;

 private:
  std::vector<GenerationPrompt> prompts_;
  size_t next_ = 0;
};

class GenerateStream : public ::testing::Test {
 protected:
  GenerateStream() : model_(tiny_model(ends_often(), 11)) { add_tiny_adapter(model_, 12); }

  static ModelConfig ends_often() {
    ModelConfig config = tiny_config({4, 2, true});
    config.eos_token_ids = {44, 45, 40, 41, 0, 1, 2, 3, 4, 7};
    return config;
  }

  /// 20 prompts of 3 to 130 tokens with 0 to 2 images.
  std::vector<GenerationPrompt> prompts() {
    const std::vector<std::vector<Grid>> images = {{{1, 4, 4}}, {}, {{1, 2, 4}, {1, 6, 2}}};
    std::vector<GenerationPrompt> all;
    for (uint32_t i = 0; i < 20; ++i) {
      all.push_back(tiny_prompt(model_, i == 13 ? 130 : 3 + i * 7 % 19, images[i % 3], i));
      all.back().prompt = i;
    }
    return all;
  }

  static GenerationSettings settings(double temperature, int64_t max_new_tokens = 14) {
    GenerationSettings settings;
    settings.sampler.temperature = temperature;
    settings.max_new_tokens = max_new_tokens;
    settings.seed = 77;
    settings.answer_tokens = {5, 6};
    return settings;
  }

  void expect_as_alone(const std::vector<GenerationPrompt>& prompts, const GenerationSettings& settings, int64_t rows) {
    ListedPrompts stream(prompts);
    generate_stream(model_, stream, settings, [rows](int64_t) { return rows; });
    ASSERT_EQ(stream.completions.size(), prompts.size());
    for (const GenerationPrompt& prompt : prompts) {
      const Completion alone = generate(model_, {prompt}, settings).front().front();
      const Completion& got = stream.completions.at(prompt.prompt);
      ASSERT_EQ(got.ids, alone.ids) << prompt.prompt;
      EXPECT_EQ(got.truncated, alone.truncated);
      ASSERT_EQ(got.trace.size(), alone.trace.size());
      for (size_t t = 0; t < alone.trace.size(); ++t) {
        EXPECT_NEAR(got.trace[t].logp, alone.trace[t].logp, 1e-12);
        EXPECT_NEAR(got.trace[t].sampling_logp, alone.trace[t].sampling_logp, 1e-12);
        EXPECT_NEAR(got.trace[t].answer_logit_a, alone.trace[t].answer_logit_a, 1e-12);
      }
    }
  }

  Qwen2Vl model_;
};

TEST_F(GenerateStream, EachCompletionIsThatOfItsPromptAlone) {
  for (const int64_t rows : {1, 3, 7, 40}) {
    expect_as_alone(prompts(), settings(0), rows);
    expect_as_alone(prompts(), settings(0.9), rows);
  }
}

TEST_F(GenerateStream, EndsAfterOneToken) { expect_as_alone(prompts(), settings(0.9, 1), 3); }

TEST_F(GenerateStream, NoPromptsGiveNoCompletions) { expect_as_alone({}, settings(0), 3); }

/// Passes that 8 rows need if each takes the next prompt at once; waiting for whole batches takes more.
TEST_F(GenerateStream, KeepsItsRowsFull) {
  std::vector<GenerationPrompt> many;
  for (uint32_t i = 0; i < 160; ++i) {
    many.push_back(tiny_prompt(model_, 5, {}, i));
    many.back().prompt = i;
  }
  GenerationSettings settings = this->settings(0.9, 40);
  int64_t passes = 0;
  settings.each_token = [&] { ++passes; };
  ListedPrompts stream(many);
  generate_stream(model_, stream, settings, [](int64_t) { return 8; });
  int64_t decoded = 0, in_batches = 0;
  for (uint32_t i = 0; i < 160; i += 8) {
    int64_t longest = 0;
    for (uint32_t k = i; k < i + 8; ++k) {
      const int64_t length = std::ssize(stream.completions.at(k).ids);
      decoded += length - 1;
      longest = std::max(longest, length);
    }
    in_batches += longest - 1;
  }
  const int64_t decode_passes = passes - stream.times_taken;
  EXPECT_GT(static_cast<double>(decoded) / static_cast<double>(8 * decode_passes), 0.8);
  EXPECT_LT(static_cast<double>(decoded) / static_cast<double>(8 * in_batches), 0.6);
}

TEST_F(GenerateStream, StopsBetweenTokens) {
  GenerationSettings settings = this->settings(0.9);
  settings.each_token = [count = 0]() mutable {
    if (++count == 5) throw std::runtime_error("stop");
  };
  ListedPrompts stream(prompts());
  EXPECT_THROW(generate_stream(model_, stream, settings, [](int64_t) { return 3; }), std::runtime_error);
}

}  // namespace
}  // namespace lriad

#include "lriad/run/metrics_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace lriad {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

TEST(StepMetrics, AreOneLineInTheOrderTheyWereAdded) {
  StepMetrics metrics(7, 0.5);
  metrics.add("loss", 1.0 / 3.0);
  metrics.add_count("num_tokens", 9'007'199'254'740'993);
  metrics.add("rewards/format/mean", 1);
  EXPECT_EQ(
      metrics.json(),
      R"({"step":7,"epoch":0.5,"loss":0.3333333333333333,"num_tokens":9007199254740993,"rewards/format/mean":1.0})");
}

TEST(StepMetrics, NameNonFiniteNumbersAndWriteNull) {
  StepMetrics metrics(1, 0);
  metrics.add("loss", kNan);
  metrics.add("kl", -kInf);
  metrics.add_null("reward");
  EXPECT_EQ(metrics.json(), R"({"step":1,"epoch":0.0,"loss":null,"kl":null,"reward":null,"nonfinite":["loss","kl"]})");
  EXPECT_THAT(metrics.scalars(), ElementsAre(Pair("epoch", 0)));
}

CompletionRecord record() {
  CompletionRecord record;
  record.step = 3;
  record.rank = 1;
  record.prompt_index = 2;
  record.sample_id = record.image = "nut/test/rust/001.png";
  record.object = "nut";
  record.label = "defect";
  record.generation = 4;
  record.text = "<think>\"quoted\"\n</think>";
  record.verdict = "invalid";
  record.rewards = {{"format", 1}, {"answer", 0}};
  record.reward = 1;
  record.advantage = -0.5;
  record.length = 9;
  return record;
}

TEST(CompletionRecord, HasTheDocumentedFields) {
  const auto json = nlohmann::json::parse(completion_json(record()));
  EXPECT_EQ(json,
            nlohmann::json::parse(R"({"step": 3, "rank": 1, "prompt_index": 2, "sample_id": "nut/test/rust/001.png",
      "image": "nut/test/rust/001.png", "object": "nut", "label": "defect", "generation": 4,
      "text": "<think>\"quoted\"\n</think>", "verdict": "invalid", "rewards": {"format": 1.0, "answer": 0.0},
      "reward": 1.0, "p": null, "advantage": -0.5, "length": 9, "truncated": false})"));
}

TEST(CompletionRecord, HasTokensAndNullsForWhatWasNotComputed) {
  CompletionRecord with_tokens = record();
  with_tokens.p = 0.25;
  with_tokens.tokens =
      CompletionTokens{{1, 2}, {3, 4}, {-0.5, kNan}, std::nullopt, std::vector<double>{-1, -2}, {-3, -4}};
  const auto json = nlohmann::json::parse(completion_json(with_tokens));
  EXPECT_EQ(json["p"], 0.25);
  EXPECT_EQ(json["prompt_ids"], nlohmann::json({1, 2}));
  EXPECT_EQ(json["sampling_logprobs"], nlohmann::json({-0.5, nullptr}));
  EXPECT_TRUE(json["old_logprobs"].is_null());
  EXPECT_EQ(json["ref_logprobs"], nlohmann::json({-1.0, -2.0}));
  EXPECT_EQ(json["policy_logprobs"].size(), 2u);
}

TEST(CompletionRecord, IsOneValidLineWhateverTheTextHolds) {
  CompletionRecord odd = record();
  odd.text = std::string("\xff\xfe line\r\n\x01 \0 end", 16) + "\xe2\x80\xa8";
  const std::string line = completion_json(odd);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_TRUE(nlohmann::json::accept(line));
}

}  // namespace
}  // namespace lriad

#include "lriad/eval/predictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "lriad/core/error.h"
#include "lriad/eval/settings.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Predictions : public ::testing::Test {
 protected:
  fs::path write(const std::string& text, const char* name = "predictions.jsonl") const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  static std::string error_of(const fs::path& path) {
    try {
      read_predictions(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TempFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

Prediction sample_prediction(const std::string& id) {
  Prediction p;
  p.sample_id = p.image = id;
  p.object = "metal_nut";
  p.defect_type = "bent";
  p.label = Verdict::kDefect;
  p.text = "<think> \"déjà\"\n\\ </think> <answer>A</answer>";
  p.verdict = Verdict::kDefect;
  p.score = 0.1234567890123456789;
  p.length = 3;
  p.prompt_ids = {1, 2, 151655};
  p.completion_ids = {7, 8, 9};
  p.logprobs = {-0.1, -1e-300, -2.5};
  return p;
}

TEST_F(Predictions, ARowOfTheTableIsOneLineWhateverItHolds) {
  Prediction p;
  p.image = "a, \"b\".png";
  p.object = "nut";
  p.label = Verdict::kNormal;
  p.verdict = Verdict::kDefect;
  p.score = 0.1;
  EXPECT_EQ(prediction_csv_row(p, 0.5), "\"a, \"\"b\"\".png\",nut,normal,defect,0.1,0.5,,");
  p = {};
  p.image = "b.png";
  p.error = "[vision] b.png: damaged";
  EXPECT_EQ(prediction_csv_row(p, {}), "b.png,,,unreadable,,,,[vision] b.png: damaged");
  p.score = std::nan("");
  EXPECT_EQ(prediction_csv_row(p, {}), "b.png,,,unreadable,,,,[vision] b.png: damaged");
}

TEST_F(Predictions, NameTheThresholdThatDecidedThem) {
  Prediction p;
  p.sample_id = p.image = "a.png";
  EXPECT_EQ(prediction_line(p).find("threshold"), std::string::npos);
  EXPECT_THAT(prediction_line(p, 0.25), HasSubstr("\"threshold\":0.25"));
  EXPECT_EQ(parse_prediction(prediction_line(p, 0.25)).image, "a.png");
}

TEST_F(Predictions, ComeBackAsTheyWereWritten) {
  const Prediction written = sample_prediction("a/b c.png");
  const PredictionLog log = read_predictions(write(prediction_line(written) + "\n"));
  ASSERT_EQ(log.predictions.size(), 1u);
  const Prediction& read = log.predictions[0];
  EXPECT_EQ(read.sample_id, written.sample_id);
  EXPECT_EQ(read.object, written.object);
  EXPECT_EQ(read.defect_type, written.defect_type);
  EXPECT_EQ(read.label, written.label);
  EXPECT_EQ(read.text, written.text);
  EXPECT_EQ(read.verdict, written.verdict);
  EXPECT_EQ(read.score, written.score);
  EXPECT_EQ(read.completion_ids, written.completion_ids);
  EXPECT_EQ(read.prompt_ids, written.prompt_ids);
  EXPECT_EQ(read.logprobs, written.logprobs);
  EXPECT_EQ(log.complete_bytes, fs::file_size(folder_ / "predictions.jsonl"));
}

TEST_F(Predictions, WriteNullForWhatIsNotKnown) {
  Prediction p = sample_prediction("x");
  p.label.reset();
  p.score = std::nan("");
  p.logprobs = {-INFINITY};
  p.prompt_ids.clear();
  const std::string line = prediction_line(p);
  EXPECT_THAT(line, HasSubstr("\"label\":null"));
  EXPECT_THAT(line, HasSubstr("\"score\":null"));
  EXPECT_THAT(line, HasSubstr("\"logprobs\":[null]"));
  EXPECT_THAT(line, ::testing::Not(HasSubstr("prompt_ids")));
  EXPECT_THAT(line, ::testing::Not(HasSubstr("\n")));
}

TEST_F(Predictions, LeaveOutHalfALineAtTheEnd) {
  const std::string whole = prediction_line(sample_prediction("a")) + "\n";
  for (const std::string& tail :
       {std::string("{\"sample_id\": \"b"), prediction_line(sample_prediction("b")), std::string("\0\0\0\n", 4)}) {
    const PredictionLog log = read_predictions(write(whole + tail));
    EXPECT_EQ(log.predictions.size(), 1u);
    EXPECT_EQ(log.complete_bytes, whole.size());
  }
}

TEST_F(Predictions, RefuseADamagedLineInTheMiddle) {
  const std::string good = prediction_line(sample_prediction("a")) + "\n";
  EXPECT_THAT(error_of(write("{}\n" + good)), HasSubstr("line 1: has no sample_id"));
  EXPECT_THAT(error_of(write(good + good + "{\n")), HasSubstr("line 2: repeats sample a"));
  EXPECT_THAT(error_of(write(good + "[1]\n" + good)), HasSubstr("line 2: is not a JSON object"));
  EXPECT_THAT(error_of(folder_ / "none.jsonl"), HasSubstr("none.jsonl"));
}

TEST_F(Predictions, SettingsNameTheFirstDifference) {
  Settings before;
  before.set("temperature", 0.0);
  before.set("model", "m");
  before.set("adapter", std::optional<std::string>());
  before.set("max_new_tokens", int64_t{256});
  const fs::path path = write(before.json(2), "settings.json");
  Settings now = Settings::read(path);
  EXPECT_EQ(before.difference(now), "");
  now.set("temperature", 1.0);
  EXPECT_EQ(before.difference(now), "temperature: 0.0 before, 1.0 now");
  now.set("adapter", "a");
  EXPECT_EQ(before.difference(now), "adapter: null before, \"a\" now");
}

TEST_F(Predictions, MetricsFileHoldsNullsAndSettings) {
  Settings settings;
  settings.set("model", "m");
  const std::vector<Prediction> rows = {sample_prediction("a")};
  write_metrics(folder_ / "metrics.json", compute_metrics(rows, InvalidPolicy::kWrong), rows, settings);
  std::ifstream file(folder_ / "metrics.json");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_THAT(text, HasSubstr("\"specificity\": null"));
  EXPECT_THAT(text, HasSubstr("\"recall\": 1.0"));
  EXPECT_THAT(text, HasSubstr("\"model\": \"m\""));
}

}  // namespace
}  // namespace lriad

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "app/program.h"
#include "src/app/eval_data.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// lriad-eval on a tiny random model and eight images of two objects.
class Eval : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TempFolder>();
    ASSERT_EQ(run_program_file("lriad-tool", {"make-model", "--size", "tiny", "--output", model()}).code, 0);
    ASSERT_EQ(run_program_file("lriad-tool", {"make-data", "--images", "4", "--objects", "gear,nut", "--defect-rate",
                                              "0.5", "--output", data()})
                  .code,
              0);
  }
  static void TearDownTestSuite() { shared_.reset(); }

  static std::string model() { return (shared_->path() / "model").string(); }
  static std::string data() { return (shared_->path() / "data").string(); }

  fs::path at(const std::string& name) const { return folder_.path() / "out" / name; }

  std::vector<std::string> arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {
        "--model", model(),   "--data",           data(), "--output", at("").parent_path().string(),
        "--dtype", "float32", "--max-new-tokens", "3"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Ended evaluate(const std::vector<std::string>& more = {}) const {
    return run_program_file("lriad-eval", arguments(more));
  }

  std::vector<json> predictions() const {
    std::ifstream in(at("predictions.jsonl"));
    std::vector<json> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }
  json metrics() const { return json::parse(read_file("test", at("metrics.json"))); }
  std::string bytes() const { return read_file("test", at("predictions.jsonl")); }

  TempFolder folder_;
  static inline std::unique_ptr<TempFolder> shared_;
};

TEST_F(Eval, WritesAnswersMetricsAndReportAndPrintsTheTable) {
  const Ended run = evaluate({"--token-ids", "--logprobs"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("all images"));
  EXPECT_THAT(run.out, HasSubstr(at("metrics.json").string()));
  ASSERT_EQ(predictions().size(), 8u);
  for (const json& line : predictions()) {
    EXPECT_EQ(line["completion_ids"].size(), line["length"].get<size_t>());
    EXPECT_EQ(line["logprobs"].size(), line["length"].get<size_t>());
    EXPECT_TRUE(fs::exists(fs::path(data()) / line["image"].get<std::string>()));
  }
  EXPECT_EQ(metrics()["overall"]["n"], 8);
  EXPECT_EQ(metrics()["overall"]["n_defect"], 4);
  EXPECT_EQ(metrics()["settings"]["model"], model());
  EXPECT_EQ(metrics()["settings"]["max_new_tokens"], 3);
  EXPECT_EQ(metrics()["settings"]["adapter"], nullptr);
  EXPECT_TRUE(fs::exists(at("report/index.html")));
}

TEST_F(Eval, MakesMapsOnlyIfAsked) {
  ASSERT_EQ(evaluate().code, 0);
  EXPECT_FALSE(fs::exists(at("maps")));
  EXPECT_FALSE(metrics().contains("maps"));
  for (const json& line : predictions()) EXPECT_FALSE(line.contains("map"));
  const std::vector<json> without = predictions();
  EXPECT_THAT(evaluate({"--maps", "--resume"}).err, HasSubstr("maps: not set before, true now"));

  const Ended run = evaluate({"--maps", "--overwrite"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("\nmaps"));
  EXPECT_THAT(run.err, HasSubstr("s an image"));
  ASSERT_EQ(predictions().size(), without.size());
  for (size_t i = 0; i < without.size(); ++i) {
    json line = predictions()[i];
    EXPECT_EQ(line["map"]["cells"].size(), 2u);
    EXPECT_EQ(line["map"]["cells"][0].size(), 2u);
    EXPECT_TRUE(line["map"]["deletion"]["random"].is_number());
    EXPECT_TRUE(fs::exists(at(line["map"]["file"])));
    line.erase("map");
    EXPECT_EQ(line, without[i]);
  }
  EXPECT_EQ(metrics()["maps"]["n"], metrics()["answers"]["defect"]);
  EXPECT_THAT(evaluate({"--maps", "--import", at("predictions.jsonl").string()}).err,
              HasSubstr("--maps needs a model"));
}

TEST_F(Eval, MapsGoOnWithResume) {
  ASSERT_EQ(evaluate({"--maps", "--limit", "3"}).code, 0);
  ASSERT_EQ(evaluate({"--maps", "--resume"}).code, 0);
  std::set<std::string> overlays;
  for (const json& line : predictions()) overlays.insert(line["map"]["file"]);
  EXPECT_EQ(overlays.size(), 8u);
}

TEST_F(Eval, ResumesBehindHalfALineAndKeepsWhatWasThere) {
  ASSERT_EQ(evaluate({"--limit", "5"}).code, 0);
  ASSERT_EQ(evaluate({"--limit", "5", "--resume"}).code, 0);
  const std::string five = bytes();
  std::ofstream(at("predictions.jsonl"), std::ios::app) << "{\"sample_id\": \"ha";
  const Ended run = evaluate({"--resume"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("5 of 8 answers are there"));
  EXPECT_THAT(bytes(), StartsWith(five));
  EXPECT_EQ(predictions().size(), 8u);
  EXPECT_EQ(metrics()["overall"]["n"], 8);
}

TEST_F(Eval, RefusesToMixAnswersThatWereMadeOtherwise) {
  ASSERT_EQ(evaluate({"--limit", "5"}).code, 0);
  const std::string before = bytes();
  const Ended other = evaluate({"--resume", "--set", "image.max_pixels=5000"});
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("image_max_pixels"));
  const Ended fewer = evaluate({"--resume", "--limit", "4"});
  EXPECT_EQ(fewer.code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("not among the images asked for"));
  EXPECT_EQ(bytes(), before);
}

TEST_F(Eval, ReplacesTheAnswersOfAnEarlierRunOnlyIfAsked) {
  ASSERT_EQ(evaluate({"--limit", "2"}).code, 0);
  const std::string before = bytes();
  const Ended refused = evaluate({"--limit", "1"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--overwrite"));
  EXPECT_EQ(bytes(), before);
  EXPECT_TRUE(fs::exists(at("metrics.json")));
  ASSERT_EQ(evaluate({"--limit", "1", "--overwrite"}).code, 0);
  EXPECT_EQ(predictions().size(), 1u);
}

TEST_F(Eval, SpreadsALimitOverObjectsAndLabels) {
  Dataset dataset;
  for (int i = 0; i < 60; ++i) {
    Sample& sample = dataset.samples.emplace_back();
    sample.id = std::to_string(i);
    sample.object = i < 40 ? "gear" : "nut";
    sample.label = i % 10 == 0 ? Verdict::kDefect : Verdict::kNormal;
  }
  const auto count = [](const Dataset& some, Verdict label, const std::string& object) {
    return some.count(label, object);
  };
  Dataset two = dataset, eight = dataset, other = dataset, most = dataset;
  limit_samples(two, 2, 1);
  EXPECT_EQ(two.count(Verdict::kDefect), 1);
  EXPECT_NE(two.samples[0].object, two.samples[1].object);
  limit_samples(eight, 8, 1);
  for (const char* object : {"gear", "nut"}) {
    EXPECT_EQ(count(eight, Verdict::kDefect, object), 2) << object;
    EXPECT_EQ(count(eight, Verdict::kNormal, object), 2) << object;
  }
  Dataset one = dataset;
  std::erase_if(one.samples, [](const Sample& sample) { return sample.object == "nut"; });
  limit_samples(one, 4, 1);
  EXPECT_EQ(one.count(Verdict::kDefect), 2);
  limit_samples(other, 8, 2);
  const auto ids = [](const Dataset& some) {
    std::string text;
    for (const Sample& sample : some.samples) text += sample.id + " ";
    return text;
  };
  EXPECT_NE(ids(other), ids(eight));
  limit_samples(most, 59, 1);
  EXPECT_EQ(most.samples.size(), 59u);
}

TEST_F(Eval, SaysWhichImagesItCannotRead) {
  const fs::path bad = folder_.path() / "bad";
  fs::copy(data(), bad, fs::copy_options::recursive);
  std::ofstream(bad / "gear/train/good/000.png", std::ios::trunc) << "no image";
  std::vector<std::string> options = arguments();
  *std::ranges::find(options, data()) = bad.string();
  const Ended run = run_program_file("lriad-eval", options);
  ASSERT_EQ(run.code, 0) << run.err;
  const auto lines = predictions();
  ASSERT_EQ(lines.size(), 8u);
  const auto line =
      std::ranges::find_if(lines, [](const json& one) { return one.at("image") == "gear/train/good/000.png"; });
  ASSERT_NE(line, lines.end());
  EXPECT_EQ(line->at("verdict"), "unreadable");
  EXPECT_THAT(line->at("error").get<std::string>(), HasSubstr("000.png"));
  EXPECT_EQ(metrics()["coverage"]["labelled"], 8);
  EXPECT_EQ(metrics()["coverage"]["unreadable"], 1);
  EXPECT_EQ(metrics()["overall"]["n"], 7);
}

TEST_F(Eval, StopsAfterABatchOnASignalAndGoesOnWithResume) {
  // A random model hardly ever generates the end token, so this takes seconds.
  std::vector<std::string> all = arguments({"--batch-size", "1", "--quiet"});
  *(std::find(all.begin(), all.end(), "3")) = "400";
  Running run("lriad-eval", all);
  for (int i = 0; i < 600 && (!fs::exists(at("predictions.jsonl")) || bytes().empty()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 128 + SIGTERM);
  const std::string before = bytes();
  EXPECT_LT(predictions().size(), 8u);
  EXPECT_FALSE(fs::exists(at("metrics.json")));
  all.push_back("--resume");
  EXPECT_EQ(run_program_file("lriad-eval", all).code, 0);
  EXPECT_THAT(bytes(), StartsWith(before));
  EXPECT_EQ(predictions().size(), 8u);
}

TEST_F(Eval, ScoresImportedPredictionsWithoutAModel) {
  const fs::path file = folder_.path() / "verdicts.csv";
  std::ofstream(file) << "image,verdict\ngear/train/good/000.png,normal\ngear/train/good/001.png,defect\n";
  const Ended run = run_program_file("lriad-eval", {"--import", file.string(), "--data", data(), "--output",
                                                    at("").parent_path().string(), "--partial"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(metrics()["overall"]["n"], 2);
  EXPECT_EQ(metrics()["coverage"]["skipped"], 6);
  EXPECT_EQ(metrics()["overall"]["fp"], 1);
  EXPECT_EQ(predictions().size(), 2u);
}

TEST_F(Eval, ChoosesAThresholdOnOneSplitAndReportsOnAnother) {
  const fs::path file = folder_.path() / "scores.csv";
  std::ofstream list(file);
  list << "image,score\n";
  for (const auto& entry : fs::recursive_directory_iterator(data())) {
    if (entry.path().extension() != ".png") continue;
    const std::string image = entry.path().string();
    const bool train = image.find("/train/") != std::string::npos, good = image.find("/good/") != std::string::npos;
    list << image << "," << (train ? 3 : good ? 1 : 7) << "\n";
  }
  list.close();
  std::vector<std::string> options = {
      "--import",         file.string(), "--data", data(), "--output", at("").parent_path().string(),
      "--threshold-from", "train"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), options.begin(), options.end());
    return run_program_file("lriad-eval", more);
  };
  EXPECT_THAT(with({}).err, HasSubstr("--max-false-alarms"));
  const Ended overlap = with({"--max-false-alarms", "0.01"});
  EXPECT_EQ(overlap.code, 2);
  EXPECT_THAT(overlap.err, HasSubstr("which data.split all reports on"));
  const Ended run = with({"--max-false-alarms", "0.01", "--set", "data.split=test"});
  ASSERT_EQ(run.code, 0) << run.err;
  const json point = metrics()["operating_point"];
  EXPECT_GT(point["threshold"], 3);
  EXPECT_EQ(point["chosen_on"], "train");
  EXPECT_EQ(point["reported_on"], "test");
  EXPECT_EQ(point["recall"], 1.0);
  EXPECT_THAT(run.out, HasSubstr("chosen on train; on test: recall 100.00"));
}

TEST_F(Eval, ComparesTwoRuns) {
  const std::string a = (folder_.path() / "out").string();
  ASSERT_EQ(evaluate().code, 0);
  const Ended run = run_program_file("lriad-eval", {"--compare", a, a, "--output", a});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("0 of 8 verdicts changed"));
  EXPECT_TRUE(fs::exists(at("compare.json")));
  EXPECT_EQ(run_program_file("lriad-eval", {"--compare", a}).code, 2);
  EXPECT_EQ(run_program_file("lriad-eval", {"--compare", a, a, "--model", model()}).code, 2);
}

TEST_F(Eval, AnswersForFilesWithoutLabels) {
  const std::string image = data() + "/gear/train/good/000.png";
  const Ended run =
      run_program_file("lriad-eval", {"--model", model(), "--images", image, "--object", "gear", "--output",
                                      at("").parent_path().string(), "--max-new-tokens", "2"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(image));
  ASSERT_EQ(predictions().size(), 1u);
  EXPECT_EQ(predictions()[0]["label"], nullptr);
  EXPECT_EQ(predictions()[0]["image"], image);
}

TEST_F(Eval, NamesWhatIsMissingAndLeavesNothingBehind) {
  const auto refused = [&](const std::vector<std::string>& options, const char* words) {
    const Ended run = run_program_file("lriad-eval", options);
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.err, HasSubstr(words));
  };
  const std::string output = at("").parent_path().string();
  refused({"--output", output, "--model", model()}, "--data");
  refused({"--output", output, "--data", data()}, "--model");
  refused({"--output", output, "--model", "/nowhere", "--data", data()}, "/nowhere");
  refused({"--output", output, "--model", model(), "--data", data(), "--set", "imgae.max_pixels=1"}, "imgae");
  refused({"--output", output, "--model", model(), "--data", data(), "--batch-size", "0"}, "--batch-size");
  refused({"--output", output, "--model", model(), "--images", "a.png"}, "--object");
  EXPECT_FALSE(fs::exists(output));
}

}  // namespace
}  // namespace lriad

#include "lriad/eval/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/eval/operating_point.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

Prediction row(size_t id, Verdict label, Verdict verdict, std::optional<double> score) {
  Prediction p;
  p.sample_id = p.image = std::to_string(id);
  p.object = "part";
  p.label = label;
  p.verdict = verdict;
  p.score = score;
  return p;
}

/// Normal images with the scores 0.00, 0.01, ... and defects with `defects`; a score of 0.5 or more says defect.
std::vector<Prediction> scored(int normals, const std::vector<double>& defects) {
  std::vector<Prediction> rows;
  const auto add = [&](Verdict label, double score) {
    rows.push_back(row(rows.size(), label, score >= 0.5 ? Verdict::kDefect : Verdict::kNormal, score));
  };
  for (int i = 0; i < normals; ++i) add(Verdict::kNormal, i * 0.01);
  for (const double score : defects) add(Verdict::kDefect, score);
  return rows;
}

std::string error_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Golden: scripts/golden/make_eval_metrics.py, statsmodels 0.14.4.
TEST(Compare, GivesMcNemarsExactTest) {
  const Json golden =
      Json::parse(read_file("test", std::filesystem::path(LRIAD_GOLDEN_DIR) / "eval_metrics.json"))["mcnemar"];
  ASSERT_GE(golden.size(), 30u);
  for (const Json& test : golden) {
    const double p = test[2];
    EXPECT_NEAR(mcnemar(test[0], test[1]).p_value, p, 1e-11 * p) << test;
  }
}

TEST(Compare, TakesEachRunAtItsOwnThreshold) {
  // The second run's scores are all lower, so that its verdicts miss every defect, but rank better.
  const std::vector<Prediction> a = scored(50, {0.9, 0.8, 0.3, 0.2});
  std::vector<Prediction> b = a;
  for (Prediction& p : b) {
    p.score = *p.label == Verdict::kDefect ? 0.4 : *p.score / 2;
    p.verdict = Verdict::kNormal;
  }
  const Comparison comparison = compare_runs(a, b, InvalidPolicy::kWrong);
  EXPECT_EQ(comparison.changed.size(), 2u);
  EXPECT_DOUBLE_EQ(*comparison.recalls[0].a, 0.5);
  EXPECT_DOUBLE_EQ(*comparison.recalls[0].b, 1.0);
  EXPECT_LT(*comparison.auroc->a, 1.0);
  EXPECT_DOUBLE_EQ(*comparison.auroc->b, 1.0);
  EXPECT_EQ(comparison.found[0].only_b, 2);
  EXPECT_EQ(comparison.verdicts.only_a, 2);
  EXPECT_GE((*comparison.recalls[0].difference)[0], 0);
  EXPECT_DOUBLE_EQ((*comparison.recalls[0].difference)[1], 1.0);
  EXPECT_THAT(comparison_text(comparison), HasSubstr("at most 1%          50.00 -> 100.00  (+50.00)"));
  EXPECT_THAT(comparison_text(comparison, 1), HasSubstr("and 1 more in compare.json"));
}

TEST(Compare, OfARunWithItselfFindsNoDifference) {
  const std::vector<Prediction> a = scored(30, {0.9, 0.1, 0.2});
  const Comparison comparison = compare_runs(a, a, InvalidPolicy::kWrong);
  EXPECT_TRUE(comparison.changed.empty());
  EXPECT_DOUBLE_EQ(comparison.verdicts.p_value, 1);
  for (const MetricChange& change : comparison.recalls) {
    EXPECT_EQ(change.a, change.b);
    EXPECT_DOUBLE_EQ((*change.difference)[0], 0);
    EXPECT_DOUBLE_EQ((*change.difference)[1], 0);
  }
}

TEST(Compare, RefusesRunsOverOtherImages) {
  const std::vector<Prediction> a = scored(3, {0.9});
  std::vector<Prediction> fewer = a, other = a;
  fewer.pop_back();
  other[0].label = Verdict::kDefect;
  const auto compare = [&](const auto& x, const auto& y) {
    return error_of([&] { compare_runs(x, y, InvalidPolicy::kWrong); });
  };
  EXPECT_THAT(compare(a, fewer), HasSubstr("second run has no answer for 3"));
  EXPECT_THAT(compare(fewer, a), HasSubstr("first run has no answer for 3"));
  EXPECT_THAT(compare(a, other), HasSubstr("different labels for 0"));
}

TEST(Compare, WritesItsMetrics) {
  const TempFolder folder;
  const std::vector<Prediction> a = scored(10, {0.9, 0.1});
  write_comparison(folder.path() / "compare.json", compare_runs(a, a, InvalidPolicy::kWrong), "run a", "run b");
  const Json found = Json::parse(read_file("test", folder.path() / "compare.json"));
  EXPECT_EQ(found["a"], "run a");
  EXPECT_EQ(found["recall_at_false_alarms"]["0.1"]["mcnemar"]["only_a"], 0);
  EXPECT_EQ(found["auroc"]["a"], found["auroc"]["b"]);
  EXPECT_EQ(found["verdicts"]["recall"]["b"], 0.5);
}

TEST(Threshold, KeepsToTheShareOfFalseAlarmsOrTheRecall) {
  const std::vector<Prediction> rows = scored(100, {0.995, 0.985, 0.5});
  const auto choose = [&](std::optional<double> false_alarms, std::optional<double> recall) {
    return choose_threshold(rows, {false_alarms, recall}, "train");
  };
  EXPECT_DOUBLE_EQ(choose(0.0, std::nullopt), 0.995);
  EXPECT_DOUBLE_EQ(choose(0.01, std::nullopt), 0.985);
  EXPECT_DOUBLE_EQ(choose(0.02, std::nullopt), 0.98);
  EXPECT_DOUBLE_EQ(choose(std::nullopt, 0.5), 0.985);
  EXPECT_DOUBLE_EQ(choose(std::nullopt, 1.0), 0.5);
}

TEST(Threshold, NeedsOnlyNormalImagesForFalseAlarms) {
  const std::vector<Prediction> normals = scored(100, {});
  EXPECT_DOUBLE_EQ(choose_threshold(normals, {0.05, std::nullopt}, "train"), 0.95);
  const double none = choose_threshold(normals, {0.0, std::nullopt}, "train");
  EXPECT_GT(none, 0.99);
  EXPECT_LT(none, 0.99 + 1e-9);
  EXPECT_THAT(error_of([&] { choose_threshold(normals, {std::nullopt, 0.5}, "train"); }), HasSubstr("no defects"));
  EXPECT_THAT(error_of([&] { choose_threshold({}, {0.5, std::nullopt}, "train"); }), HasSubstr("no normal images"));
}

TEST(Threshold, IsRefusedWhereInvalidAnswersExceedIt) {
  std::vector<Prediction> rows = scored(50, {0.9, 0.8});
  for (size_t i = 0; i < 5; ++i) rows[i].verdict = Verdict::kInvalid;
  rows.back().verdict = Verdict::kInvalid;
  EXPECT_THAT(error_of([&] { choose_threshold(rows, {0.05, std::nullopt}, "train"); }), HasSubstr("invalid answer"));
  EXPECT_DOUBLE_EQ(choose_threshold(rows, {0.1, std::nullopt}, "train"), 0.9);
  EXPECT_THAT(error_of([&] { choose_threshold(rows, {std::nullopt, 0.9}, "train"); }), HasSubstr("invalid answer"));
}

TEST(Threshold, JudgesValidAnswersWithAScoreAlone) {
  EXPECT_EQ(verdict_at(Verdict::kNormal, 0.5, 0.5), Verdict::kDefect);
  EXPECT_EQ(verdict_at(Verdict::kDefect, 0.4, 0.5), Verdict::kNormal);
  EXPECT_EQ(verdict_at(Verdict::kInvalid, 0.9, 0.5), Verdict::kInvalid);
  EXPECT_EQ(verdict_at(Verdict::kDefect, std::nullopt, 0.5), Verdict::kDefect);
  EXPECT_EQ(verdict_at(Verdict::kDefect, 0.4, std::nullopt), Verdict::kDefect);
}

}  // namespace
}  // namespace lriad

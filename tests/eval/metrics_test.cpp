#include "lriad/eval/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

constexpr double kTolerance = 1e-12;

Prediction row(const std::string& object, Verdict label, Verdict verdict, std::optional<double> score = std::nullopt) {
  Prediction prediction;
  prediction.object = object;
  prediction.label = label;
  prediction.verdict = verdict;
  prediction.score = score;
  return prediction;
}

std::vector<Prediction> rows_of(int64_t tp, int64_t fn, int64_t tn, int64_t fp, const std::string& object = "part") {
  std::vector<Prediction> rows;
  rows.insert(rows.end(), static_cast<size_t>(tp), row(object, Verdict::kDefect, Verdict::kDefect));
  rows.insert(rows.end(), static_cast<size_t>(fn), row(object, Verdict::kDefect, Verdict::kNormal));
  rows.insert(rows.end(), static_cast<size_t>(tn), row(object, Verdict::kNormal, Verdict::kNormal));
  rows.insert(rows.end(), static_cast<size_t>(fp), row(object, Verdict::kNormal, Verdict::kDefect));
  return rows;
}

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

std::vector<Prediction> golden_rows(const Json& rows) {
  std::vector<Prediction> predictions;
  for (const Json& item : rows) {
    const std::string verdict = item[1];
    predictions.push_back(row("part", item[0] == "defect" ? Verdict::kDefect : Verdict::kNormal,
                              verdict == "invalid"  ? Verdict::kInvalid
                              : verdict == "defect" ? Verdict::kDefect
                                                    : Verdict::kNormal,
                              item[2].is_null() ? std::nullopt : std::optional<double>(item[2].get<double>())));
  }
  return predictions;
}

void expect_interval(const ClassMetrics::Interval& got, const Json& want) {
  ASSERT_TRUE(got.has_value());
  EXPECT_NEAR((*got)[0], want[0].get<double>(), kTolerance);
  EXPECT_NEAR((*got)[1], want[1].get<double>(), kTolerance);
}

// Golden: scripts/golden/make_eval_metrics.py, scikit-learn 1.5.2, statsmodels 0.14.4.
TEST(Metrics, EqualScikitLearnAndStatsmodels) {
  const Json cases = read_json(std::filesystem::path(LRIAD_GOLDEN_DIR) / "eval_metrics.json");
  ASSERT_EQ(cases.size(), 4u);
  for (const Json& golden : cases) {
    const std::vector<Prediction> rows = golden_rows(golden["rows"]);
    const Json& want = golden["figures"];
    const ClassMetrics m = compute_metrics(rows, InvalidPolicy::kWrong).overall;
    for (const char* name : {"accuracy", "f1_macro", "f1_defect", "f1_normal", "precision_defect", "recall",
                             "specificity", "balanced_accuracy", "auroc"}) {
      ASSERT_TRUE(metric_by_name(m, name).has_value()) << name;
      EXPECT_NEAR(*metric_by_name(m, name), want[name].get<double>(), kTolerance) << name;
    }
    expect_interval(m.ci95_accuracy, want["ci95_accuracy"]);
    expect_interval(m.ci95_recall, want["ci95_recall"]);
    expect_interval(m.ci95_specificity, want["ci95_specificity"]);
    const ClassMetrics extra = compute_metrics(rows, InvalidPolicy::kExtraClass).overall;
    EXPECT_NEAR(*extra.f1_macro, want["f1_macro_extra_class"].get<double>(), kTolerance);
    EXPECT_NEAR(*extra.accuracy, want["accuracy"].get<double>(), kTolerance);
  }
}

TEST(Metrics, CountAnInvalidAnswerAsTheOtherClass) {
  std::vector<Prediction> rows = rows_of(3, 1, 5, 1);
  rows.push_back(row("part", Verdict::kDefect, Verdict::kInvalid));
  rows.push_back(row("part", Verdict::kNormal, Verdict::kInvalid));
  const ClassMetrics wrong = compute_metrics(rows, InvalidPolicy::kWrong).overall;
  EXPECT_EQ(wrong.n, 12);
  EXPECT_EQ(wrong.fn, 2);
  EXPECT_EQ(wrong.fp, 2);
  EXPECT_EQ(wrong.invalid_defect, 1);
  EXPECT_EQ(wrong.invalid_normal, 1);
  EXPECT_DOUBLE_EQ(*wrong.invalid_rate, 2.0 / 12);
  const ClassMetrics extra = compute_metrics(rows, InvalidPolicy::kExtraClass).overall;
  EXPECT_EQ(extra.fn, 1);
  EXPECT_EQ(extra.fp, 1);
  EXPECT_DOUBLE_EQ(*extra.recall, *wrong.recall);
}

TEST(Metrics, AreNullWhereAClassIsMissing) {
  const MetricsReport report = compute_metrics(rows_of(0, 0, 4, 0), InvalidPolicy::kWrong);
  EXPECT_FALSE(report.overall.recall.has_value());
  EXPECT_FALSE(report.overall.balanced_accuracy.has_value());
  EXPECT_FALSE(report.overall.f1_defect.has_value());
  EXPECT_FALSE(report.overall.f1_macro.has_value());
  EXPECT_FALSE(report.overall.auroc.has_value());
  EXPECT_FALSE(report.overall.ci95_recall.has_value());
  EXPECT_DOUBLE_EQ(*report.overall.specificity, 1.0);
  EXPECT_DOUBLE_EQ((*report.overall.ci95_specificity)[1], 1.0);
}

TEST(Metrics, LeaveOutPredictionsWithoutALabel) {
  std::vector<Prediction> rows = rows_of(1, 0, 1, 0);
  rows.emplace_back();
  EXPECT_EQ(compute_metrics(rows, InvalidPolicy::kWrong).overall.n, 2);
  EXPECT_EQ(compute_metrics({Prediction()}, InvalidPolicy::kWrong).overall.n, 0);
  EXPECT_FALSE(compute_metrics({}, InvalidPolicy::kWrong).overall.accuracy.has_value());
}

TEST(Metrics, CountTiesHalfInAuroc) {
  const std::vector<Prediction> rows = {
      row("a", Verdict::kDefect, Verdict::kDefect, 0.5), row("a", Verdict::kNormal, Verdict::kNormal, 0.5),
      row("a", Verdict::kNormal, Verdict::kNormal, 0.1), row("a", Verdict::kNormal, Verdict::kNormal)};
  EXPECT_DOUBLE_EQ(*compute_metrics(rows, InvalidPolicy::kWrong).overall.auroc, 0.75);
}

TEST(Metrics, AverageEachFractionOverTheObjectsThatDefineIt) {
  std::vector<Prediction> rows = rows_of(1, 1, 2, 0, "a");
  const std::vector<Prediction> normal_only = rows_of(0, 0, 1, 3, "b");
  rows.insert(rows.end(), normal_only.begin(), normal_only.end());
  const MetricsReport report = compute_metrics(rows, InvalidPolicy::kWrong);
  EXPECT_EQ(report.objects.size(), 2u);
  EXPECT_DOUBLE_EQ(*report.object_mean.accuracy, (0.75 + 0.25) / 2);
  EXPECT_DOUBLE_EQ(*report.object_mean.recall, 0.5);
  EXPECT_EQ(report.object_mean.n, 8);
  EXPECT_FALSE(report.object_mean.ci95_accuracy.has_value());
}

TEST(Metrics, ShowWhatAConstantAnswerReaches) {
  const MetricsReport report = compute_metrics(rows_of(1, 1, 5, 1), InvalidPolicy::kWrong);
  EXPECT_DOUBLE_EQ(*report.always_normal.accuracy, 6.0 / 8);
  EXPECT_DOUBLE_EQ(*report.always_normal.recall, 0.0);
  EXPECT_DOUBLE_EQ(*report.always_defect.accuracy, 2.0 / 8);
  EXPECT_DOUBLE_EQ(*report.always_defect.balanced_accuracy, 0.5);
}

TEST(Metrics, RefuseAnUnknownNameAndListTheKnownOnes) {
  try {
    metric_by_name(ClassMetrics(), "acuracy");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("acuracy"));
    EXPECT_THAT(error.what(), HasSubstr("balanced_accuracy"));
  }
}

TEST(Metrics, PrintATableWithoutControlCharacters) {
  const std::string table = metrics_table(compute_metrics(rows_of(1, 1, 5, 1, "gear\x1b[31m"), InvalidPolicy::kWrong));
  EXPECT_THAT(table, HasSubstr("gear?[31m"));
  EXPECT_THAT(table, HasSubstr("always normal"));
  EXPECT_THAT(table, HasSubstr("75.00"));
}

/// Every confusion table that the paper's Tables V and VI imply gives the printed accuracy and F1 again.
TEST(Metrics, GiveTheTablesOfThePaper) {
  const std::filesystem::path path = std::filesystem::path(LRIAD_GOLDEN_DIR) / "paper_tables.json";
  const Json tables = read_json(path);
  int checked = 0;
  for (const char* name : {"table_V_visa", "table_VI_mvtec"}) {
    for (const auto& [object, entry] : tables[name].items()) {
      for (const auto& [method, printed] : entry["methods"].items()) {
        if (!printed.contains("confusion") || !printed["confusion"].is_object()) continue;
        const Json& c = printed["confusion"];
        const ClassMetrics m =
            compute_metrics(rows_of(c["tp"], c["fn"], c["tn"], c["fp"]), InvalidPolicy::kWrong).overall;
        EXPECT_NEAR(*m.accuracy * 100, printed["acc"].get<double>(), 0.0051) << object << " " << method;
        EXPECT_NEAR(*m.f1_macro * 100, printed["f1_macro"].get<double>(), 0.0051) << object << " " << method;
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 70);
}

TEST(Metrics, AggregateThePaperPooledAndAsObjectMean) {
  const std::filesystem::path path = std::filesystem::path(LRIAD_GOLDEN_DIR) / "paper_tables.json";
  const Json tables = read_json(path);
  std::vector<Prediction> rows;
  for (const auto& [object, entry] : tables["table_VI_mvtec"].items()) {
    const Json& c = entry["methods"]["LR-IAD"]["confusion"];
    const std::vector<Prediction> more = rows_of(c["tp"], c["fn"], c["tn"], c["fp"], object);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  const MetricsReport report = compute_metrics(rows, InvalidPolicy::kWrong);
  EXPECT_NEAR(*report.overall.accuracy * 100, 84.35, 0.0051);
  EXPECT_NEAR(*report.overall.f1_macro * 100, 71.54, 0.0051);
  EXPECT_NEAR(*report.object_mean.accuracy * 100, 83.41, 0.0051);
  EXPECT_NEAR(*report.object_mean.f1_macro * 100, 70.36, 0.0051);
  EXPECT_NEAR(*report.always_normal.accuracy * 100, 76.50, 0.0051);
}

}  // namespace
}  // namespace lriad

#include "lriad/eval/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/random.h"

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

/// As make_rows() of scripts/golden/make_eval_metrics.py.
std::vector<Prediction> random_rows(uint32_t number) {
  const CounterRandom random(number, RandomUse::kBootstrap);
  const uint32_t levels = 1 + number % 11;
  const auto count = static_cast<uint32_t>(1 + random.below(60, 0));
  std::vector<Prediction> rows;
  for (uint32_t i = 0; i < count; ++i) {
    const bool defect = random.uniform(1, i) < (number % 5) / 4.0;
    const bool right = random.uniform(2, i) < 0.7;
    const bool invalid = random.uniform(3, i) < (number % 8) / 7.0;
    uint64_t level = random.below(levels, 5, i);
    if (defect) level = std::max(level, random.below(levels, 6, i));
    const bool unscored = random.uniform(4, i) < (number % 3) * 0.4;
    rows.push_back(row(std::string(1, "abc"[i % (1 + number % 3)]), defect ? Verdict::kDefect : Verdict::kNormal,
                       invalid           ? Verdict::kInvalid
                       : defect == right ? Verdict::kDefect
                                         : Verdict::kNormal,
                       unscored ? std::nullopt : std::optional(static_cast<double>(level) / levels)));
  }
  return rows;
}

using Figures = std::map<std::string, std::optional<double>>;

void add_interval(Figures& figures, const std::string& name, const ClassMetrics::Interval& interval) {
  figures["ci95_" + name + "_low"] = interval ? std::optional((*interval)[0]) : std::nullopt;
  figures["ci95_" + name + "_high"] = interval ? std::optional((*interval)[1]) : std::nullopt;
}

Figures figures_of(const std::vector<Prediction>& rows) {
  const MetricsReport report = compute_metrics(rows, InvalidPolicy::kWrong);
  const ClassMetrics& m = report.overall;
  Figures figures;
  for (const NamedFraction& fraction : named_fractions()) {
    figures[fraction.name] = m.*fraction.value;
    figures[std::string("object_mean_") + fraction.name] = report.object_mean.*fraction.value;
  }
  for (const auto& [i, name] : {std::pair(0, "0.01"), {1, "0.02"}, {2, "0.05"}, {3, "0.1"}}) {
    figures[std::string("recall_at_") + name] = m.recall_at_false_alarms.at(static_cast<size_t>(i));
  }
  figures["object_mean_recall_at_0.05"] = report.object_mean.recall_at_false_alarms[2];
  figures["f1_macro_extra_class"] = compute_metrics(rows, InvalidPolicy::kExtraClass).overall.f1_macro;
  add_interval(figures, "accuracy", m.ci95_accuracy);
  add_interval(figures, "recall", m.ci95_recall);
  add_interval(figures, "specificity", m.ci95_specificity);
  return figures;
}

Json golden() { return read_json(std::filesystem::path(LRIAD_GOLDEN_DIR) / "eval_metrics.json"); }

// Golden: scripts/golden/make_eval_metrics.py, scikit-learn 1.5.2, statsmodels 0.14.4.
TEST(Metrics, EqualScikitLearnAndStatsmodelsOnAThousandDataSets) {
  constexpr size_t kBlock = 16;
  const Json sums = golden()["sums"];
  ASSERT_EQ(sums["accuracy"].size(), 64u);
  for (size_t block = 0; block < 64; ++block) {
    std::map<std::string, double> found;
    for (size_t i = 0; i < kBlock; ++i) {
      for (const auto& [name, value] : figures_of(random_rows(static_cast<uint32_t>(block * kBlock + i)))) {
        found[name] += static_cast<double>(i + 1) * value.value_or(2);
      }
    }
    for (const auto& [name, want] : sums.items()) {
      EXPECT_NEAR(found.at(name), want[block].get<double>(), 1e-8) << name << " of data sets from " << block * kBlock;
    }
  }
}

// Golden: the same file; numpy.quantile over scikit-learn's figures of each resample.
TEST(Metrics, GiveTheBootstrapIntervalsOfTheirOwnResamples) {
  for (const Json& one : golden()["bootstrap"]) {
    const MetricsReport report = compute_metrics(random_rows(one["case"]), InvalidPolicy::kWrong);
    for (const auto& [name, want] : one["ci95"].items()) {
      const bool mean = name.starts_with("object_mean_");
      const auto fraction = std::ranges::find_if(
          named_fractions(), [&, wanted = mean ? name.substr(12) : name](const auto& f) { return f.name == wanted; });
      ASSERT_NE(fraction, named_fractions().end()) << name;
      const ClassMetrics::Interval got = (mean ? report.object_mean : report.overall).*fraction->interval;
      ASSERT_TRUE(got.has_value()) << name;
      EXPECT_NEAR((*got)[0], want[0].get<double>(), kTolerance) << name;
      EXPECT_NEAR((*got)[1], want[1].get<double>(), kTolerance) << name;
    }
  }
}

TEST(Metrics, RankInvalidAnswersWorst) {
  std::vector<Prediction> rows(2, row("part", Verdict::kDefect, Verdict::kDefect, 0.9));
  rows.resize(10, row("part", Verdict::kDefect, Verdict::kInvalid, 0.99));
  rows.resize(110, row("part", Verdict::kNormal, Verdict::kNormal, 0.1));
  EXPECT_DOUBLE_EQ(*compute_metrics(rows, InvalidPolicy::kWrong).overall.recall_at_false_alarms[0], 0.2);
  EXPECT_DOUBLE_EQ(*compute_metrics(rows, InvalidPolicy::kWrong).overall.auroc, 0.2);
  rows.resize(112, row("part", Verdict::kNormal, Verdict::kInvalid, 0.01));
  const ClassMetrics m = compute_metrics(rows, InvalidPolicy::kWrong).overall;
  EXPECT_DOUBLE_EQ(*m.recall_at_false_alarms[0], 0.0);
  EXPECT_DOUBLE_EQ(*m.recall_at_false_alarms[1], 0.2);
  EXPECT_EQ(m.scored, 102);
}

TEST(Metrics, SayHowManyImagesTheFiguresCover) {
  std::vector<Prediction> rows = {
      row("a", Verdict::kDefect, Verdict::kDefect, 0.5), row("a", Verdict::kDefect, Verdict::kInvalid, 0.5),
      row("b", Verdict::kNormal, Verdict::kNormal), row("b", Verdict::kNormal, Verdict::kInvalid)};
  rows[3].error = "no image";
  rows[0].defect_type = rows[1].defect_type = "bent";
  const MetricsReport report = compute_metrics(rows, InvalidPolicy::kWrong, /*skipped=*/2);
  EXPECT_EQ(report.coverage.labelled, 6);
  EXPECT_EQ(report.coverage.answered, 3);
  EXPECT_EQ(report.coverage.skipped, 2);
  EXPECT_EQ(report.coverage.unreadable, 1);
  EXPECT_EQ(report.coverage.scored, 1);
  EXPECT_EQ(report.overall.n, 3);
  EXPECT_EQ(report.by_defect_type.at("a").at("bent").n, 2);
  EXPECT_EQ(report.by_defect_type.at("a").at("bent").found, 1);
  EXPECT_EQ(report.mean_objects.at("accuracy"), 2);
  EXPECT_EQ(report.mean_objects.at("recall"), 1);
  const std::string table = metrics_table(report);
  EXPECT_THAT(table, HasSubstr("answered 3 of 6 labelled images; skipped 2, unreadable 1, with a score 1"));
  EXPECT_THAT(table, HasSubstr("bent"));
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
  EXPECT_EQ(report.mean_objects.at("recall"), 1);
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

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lriad/core/files.h"
#include "lriad/eval/paper_tables.h"

namespace lriad {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

MetricsReport run_of(const std::string& object, int64_t tp, int64_t fn, int64_t tn, int64_t fp) {
  std::vector<Prediction> rows;
  const auto add = [&](int64_t count, Verdict label, Verdict verdict) {
    Prediction row;
    row.object = object;
    row.label = label;
    row.verdict = verdict;
    rows.insert(rows.end(), static_cast<size_t>(count), row);
  };
  add(tp, Verdict::kDefect, Verdict::kDefect);
  add(fn, Verdict::kDefect, Verdict::kNormal);
  add(tn, Verdict::kNormal, Verdict::kNormal);
  add(fp, Verdict::kNormal, Verdict::kDefect);
  return compute_metrics(rows, InvalidPolicy::kWrong);
}

TEST(Paper, HoldsTheRowsOfTheTables) {
  const Json tables = Json::parse(read_file("test", std::filesystem::path(LRIAD_GOLDEN_DIR) / "paper_tables.json"));
  for (const PaperRow& row : paper_rows()) {
    const char* table = row.data == std::string("VisA") ? "table_V_visa" : "table_VI_mvtec";
    const Json& methods = tables.at(table).at(row.object).at("methods");
    if (!methods.contains(row.method)) {
      EXPECT_FALSE(row.counts.has_value()) << row.object << " " << row.method;  // AprilGAN's pipe_fryum
      continue;
    }
    const Json& printed = methods[row.method];
    EXPECT_EQ(printed["acc"], row.accuracy) << row.object << " " << row.method;
    EXPECT_EQ(printed["f1_macro"], row.f1_macro) << row.object << " " << row.method;
    const bool known = printed.contains("confusion") && printed["confusion"].is_object();
    ASSERT_EQ(row.counts.has_value(), known) << row.object;
    if (!known) continue;
    const Json& c = printed["confusion"];
    EXPECT_TRUE(c["tp"] == row.counts->tp && c["fn"] == row.counts->fn && c["tn"] == row.counts->tn &&
                c["fp"] == row.counts->fp)
        << row.object << " " << row.method;
  }
  EXPECT_EQ(paper_rows().size(), 81u);
}

TEST(Paper, PrintsBothTablesWithoutARun) {
  const std::string text = paper_comparison(std::nullopt);
  EXPECT_THAT(text, HasSubstr("Table VI, MVTec-AD"));
  EXPECT_THAT(text, HasSubstr("Table V, VisA"));
  EXPECT_THAT(text, HasSubstr("pcb1"));
  EXPECT_THAT(text, HasSubstr("90.94  47.63 always normal"));
  // Pooled and mean of objects of Table III and IV, worked out from the recovered counts.
  EXPECT_THAT(text, HasSubstr("84.35  71.54            83.41  70.36"));
  EXPECT_THAT(text, HasSubstr("47.88  42.78  mean of objects"));
}

TEST(Paper, PutsTheRunBesideItsObjectsLikeForLike) {
  const std::string equal = paper_comparison(run_of("bottle", 60, 3, 220, 9));
  EXPECT_THAT(equal, HasSubstr("60/3/220/9"));
  EXPECT_THAT(equal, HasSubstr("this run"));
  EXPECT_THAT(equal, Not(HasSubstr("cable")));
  EXPECT_THAT(equal, Not(HasSubstr("not the paper's images")));
  EXPECT_THAT(paper_comparison(run_of("bottle", 10, 3, 20, 9)),
              HasSubstr("bottle: 29 normal and 13 defective images, the paper 229 and 63"));
  EXPECT_THAT(paper_comparison(run_of("gear", 1, 1, 1, 1)), HasSubstr("none of the run's objects"));
}

}  // namespace
}  // namespace lriad

// Golden: scripts/golden/make_mmad.py, which runs MMAD's own summary on the answers that are written here.
#include "lriad/eval/mmad_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lriad/core/files.h"
#include "lriad/data/csv.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// 40 images of two data sets; every fifth answer is invalid, some are wrong, some questions have their options turned.
struct Case {
  std::vector<Prediction> predictions;
  std::map<std::string, MmadQuestion> questions;
};

Case some_answers() {
  Case made;
  for (int i = 0; i < 40; ++i) {
    const bool defect = i % 3 == 0, turned = i % 4 == 1;
    Prediction& p = made.predictions.emplace_back();
    p.image = (i % 2 == 0 ? "DS-MVTec/nut/image/" : "VisA/candle/test/") + std::string(defect ? "bent/" : "good/") +
              std::to_string(i) + ".png";
    p.label = defect ? Verdict::kDefect : Verdict::kNormal;
    const bool right = i % 7 != 2;
    p.verdict = i % 5 == 3 ? Verdict::kInvalid : right == defect ? Verdict::kDefect : Verdict::kNormal;
    MmadQuestion& question = made.questions[p.image];
    question = {"Question 1: Is there any defect? \nA. Yes.\nB. No.\n", turned ? "B" : "A", turned ? "A" : "B", ""};
    question.correct = defect ? question.yes : question.no;
  }
  made.predictions[10].error = "cannot read it";
  return made;
}

TEST(MmadAnswers, AreCountedByTheirOwnSummaryAsHere) {
  const fs::path golden = fs::path(LRIAD_GOLDEN_DIR) / "mmad";
  const TempFolder folder;
  const Case made = some_answers();
  write_mmad_answers(folder.path() / "answers.json", made.predictions, made.questions);
  EXPECT_EQ(json::parse(read_file("test", folder.path() / "answers.json")),
            json::parse(read_file("test", golden / "answers.json")));
  const CsvTable ours =
      parse_csv(read_file("test", folder.path() / "answers_accuracy.csv"), folder.path() / "answers_accuracy.csv");
  const CsvTable theirs =
      parse_csv(read_file("test", golden / "answers_accuracy.csv"), golden / "answers_accuracy.csv");
  ASSERT_EQ(ours.rows.size(), theirs.rows.size());
  for (size_t row = 0; row < theirs.rows.size(); ++row) {
    for (size_t column = 0; column < theirs.rows[row].fields.size(); ++column) {
      const std::string &a = ours.rows[row].fields.at(column), &b = theirs.rows[row].fields[column];
      if (row == 0 || column == 0) {
        EXPECT_EQ(a, b);
      } else {
        EXPECT_NEAR(std::stod(a), std::stod(b), 1e-9);
      }
    }
  }
  EXPECT_EQ(ours.rows.back().fields.back(), "9");
}

TEST(MmadAnswers, AnImageThatMmadDoesNotAskAboutIsRefused) {
  const TempFolder folder;
  Case made = some_answers();
  made.questions.erase(made.predictions[3].image);
  EXPECT_ANY_THROW(write_mmad_answers(folder.path() / "answers.json", made.predictions, made.questions));
}

}  // namespace
}  // namespace lriad

#include "lriad/eval/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lriad/core/error.h"
#include "lriad/eval/predictions.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Import : public ::testing::Test {
 protected:
  Import() {
    dataset_.root = folder_;
    for (const char* name : {"nut/test/good/0.png", "nut/test/bent/0.png", "a,b \"c\"/test/good/1.png"}) {
      fs::create_directories((folder_ / name).parent_path());
      std::ofstream(folder_ / name) << "x";
      Sample sample;
      sample.id = sample.image = name;
      sample.path = folder_ / name;
      sample.object = "nut";
      sample.label = sample.image.find("bent") == std::string::npos ? Verdict::kNormal : Verdict::kDefect;
      dataset_.samples.push_back(sample);
    }
  }

  std::vector<Prediction> read(const std::string& text, std::optional<double> threshold = std::nullopt) const {
    std::ofstream(folder_ / "verdicts", std::ios::binary) << text;
    return import_predictions(folder_ / "verdicts", dataset_, {.threshold = threshold, .partial = true});
  }

  std::string error_of(const std::string& text) const {
    try {
      read(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TempFolder temporary_;
  const fs::path folder_ = temporary_.path();
  Dataset dataset_;
};

TEST_F(Import, ReadsCsvWithQuotesAndFindsImagesByAnyName) {
  const std::string text = "\xEF\xBB\xBFscore,image,verdict\r\n,nut/test/../test/good/0.png,normal\r\n\r\n0.25," +
                           (folder_ / "nut/test/bent/0.png").string() +
                           ",\r\n1e-1,\"a,b \"\"c\"\"/test/good/1.png\",invalid";
  const std::vector<Prediction> rows = read(text);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].verdict, Verdict::kNormal);
  EXPECT_FALSE(rows[0].score.has_value());
  EXPECT_EQ(rows[1].label, Verdict::kDefect);
  EXPECT_EQ(rows[1].verdict, Verdict::kNormal);
  EXPECT_EQ(rows[2].sample_id, "a,b \"c\"/test/good/1.png");
  EXPECT_EQ(rows[2].verdict, Verdict::kInvalid);
}

TEST_F(Import, ReadsWhatOtherProgramsWrite) {
  const std::vector<Prediction> rows = read(
      "image_path,label,pred_label,pred_score\n/elsewhere/mvtec/nut/test/good/0.png,1,False,0.2\n"
      "other/nut/test/bent/0.png,0,1,0.9\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].verdict, Verdict::kNormal);
  EXPECT_EQ(rows[0].score, 0.2);
  EXPECT_EQ(rows[0].label, Verdict::kNormal);
  EXPECT_EQ(rows[1].sample_id, "nut/test/bent/0.png");
  EXPECT_EQ(rows[1].verdict, Verdict::kDefect);
  const std::vector<Prediction> lines = read(
      "{\"image_path\": \"/x/nut/test/good/0.png\", \"pred_label\": true, \"pred_score\": 3.5}\n"
      "{\"image_path\": \"nut/test/bent/0.png\", \"pred_label\": 0}\n");
  EXPECT_EQ(lines[0].verdict, Verdict::kDefect);
  EXPECT_EQ(lines[0].score, 3.5);
  EXPECT_EQ(lines[1].verdict, Verdict::kNormal);
}

TEST_F(Import, ReadsTheDetectionAnswersOfMmad) {
  const auto entry = [](const std::string& image, const std::string& type, const std::string& answer) {
    return "{\"image\": \"" + image + "\", \"question_type\": \"" + type +
           "\", \"correct_answer\": \"A\", \"gpt_answer\": \"" + answer + "\"}";
  };
  const std::vector<Prediction> rows = read("[" + entry("nut/test/good/0.png", "Anomaly Detection", "A") + ", " +
                                            entry("nut/test/good/0.png", "Defect Classification", "C") + ", " +
                                            entry("nut/test/bent/0.png", "Anomaly Detection", "B") + ", " +
                                            entry("a,b \\\"c\\\"/test/good/1.png", "Anomaly Detection", "") + "]");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].verdict, Verdict::kNormal);  // right
  EXPECT_EQ(rows[1].verdict, Verdict::kNormal);  // wrong about a defect
  EXPECT_EQ(rows[2].verdict, Verdict::kInvalid);
  EXPECT_THAT(error_of("[3]"), HasSubstr("line 1: is number"));
  EXPECT_THAT(error_of("[" + entry("nut/test/good/0.png", "Anomaly Detection", "A") + ", "),
              HasSubstr("not valid JSON"));
}

TEST_F(Import, FindsAnImageThroughALink) {
  fs::create_directory_symlink(folder_ / "nut", folder_ / "other");
  const std::vector<Prediction> rows =
      read("image,verdict\n" + (folder_ / "other/test/bent/0.png").string() + ",defect\n");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].sample_id, "nut/test/bent/0.png");
}

TEST_F(Import, JudgesScoresAtTheThreshold) {
  const std::string text = "image,score\nnut/test/good/0.png,12.5\nnut/test/bent/0.png,12.4\n";
  const std::vector<Prediction> rows = read(text, 12.5);
  EXPECT_EQ(rows[0].verdict, Verdict::kDefect);
  EXPECT_EQ(rows[1].verdict, Verdict::kNormal);
  EXPECT_THAT(error_of(text), HasSubstr("--threshold"));
}

TEST_F(Import, ReadsJsonLinesSuchAsItsOwn) {
  Prediction own;
  own.image = "nut/test/bent/0.png";
  own.text = "<think> x </think> <answer>A</answer>";
  own.verdict = Verdict::kDefect;
  own.score = 0.75;
  const std::vector<Prediction> rows = read("\n" + prediction_line(own) + "\n");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].text, own.text);
  EXPECT_EQ(rows[0].score, own.score);
  EXPECT_EQ(rows[0].label, Verdict::kDefect);
}

TEST_F(Import, RefusesToLeaveImagesOutUnlessAsked) {
  read("image,verdict\nnut/test/good/0.png,normal\n");
  try {
    import_predictions(folder_ / "verdicts", dataset_);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("covers 1 of 3 images, the first without a line is nut/test/bent/0.png"));
    EXPECT_THAT(error.what(), HasSubstr("--partial"));
  }
}

TEST_F(Import, NamesFileAndLineOfWhatIsWrong) {
  const std::string good = "nut/test/good/0.png";
  EXPECT_THAT(error_of("a,b\n1,2\n"), HasSubstr("verdicts line 1: expected a header"));
  EXPECT_THAT(error_of(""), HasSubstr("is empty"));
  EXPECT_THAT(error_of("image,verdict\n"), HasSubstr("holds no predictions"));
  EXPECT_THAT(error_of("image,verdict\n" + good + ",maybe\n"), HasSubstr("line 2: verdict is maybe"));
  EXPECT_THAT(error_of("image,score\n" + good + ",high\n"), HasSubstr("score is high"));
  EXPECT_THAT(error_of("image,score\n" + good + ",nan\n"), HasSubstr("score is nan"));
  EXPECT_THAT(error_of("image,score\n" + good + ",1e999\n"), HasSubstr("score is 1e999"));
  EXPECT_THAT(error_of("image,score\n" + good + ",\n"), HasSubstr("neither a verdict nor a score"));
  EXPECT_THAT(error_of("image,score\n" + good + "\n"), HasSubstr("has 1 fields"));
  EXPECT_THAT(error_of("image,verdict\nnone.png,defect\n"), HasSubstr("image none.png is not in the data set"));
  EXPECT_THAT(error_of("image,verdict\n" + good + ",normal\n" + good + ",normal\n"),
              HasSubstr("was already on line 2"));
  EXPECT_THAT(error_of("image,verdict\n\"" + good + ",normal\n"), HasSubstr("line 2: a quote is opened"));
  EXPECT_THAT(error_of("image,verdict\n\"" + good + "\"x,normal\n"), HasSubstr("text after a closing quote"));
  EXPECT_THAT(error_of("{\"image\": 3}"), HasSubstr("line 1: image is number"));
  EXPECT_THAT(error_of("{\"image\": \"x\"\n"), HasSubstr("line 1: is not valid JSON"));
  EXPECT_THAT(error_of("{\"image\": " + std::string(100000, '[')), HasSubstr("is nested deeper"));
}

}  // namespace
}  // namespace lriad

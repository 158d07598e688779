#include "lriad/eval/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lriad/vision/write_png.h"
#include "src/eval/report_page.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

Prediction made_up(const std::string& id, std::optional<Verdict> label, Verdict verdict) {
  Prediction p;
  p.sample_id = p.image = id;
  p.object = "<b>gear</b>";
  p.label = label;
  p.verdict = verdict;
  p.text = "<think> seen </think> <answer>A</answer>";
  return p;
}

class Report : public ::testing::Test {
 protected:
  Report() { fs::create_directories(folder_ / "data"); }

  std::string page(const ReportInput& input) const {
    write_report(folder_ / "report", input);
    std::ifstream file(folder_ / "report" / "index.html");
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }

  TempFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Report, EscapesEveryTextAndLinksTheImages) {
  ReportInput input;
  input.title = "model & <script>alert(0)</script>";
  input.predictions = {made_up("a \"#1\".png", Verdict::kDefect, Verdict::kNormal),
                       made_up("b.png", Verdict::kNormal, Verdict::kInvalid)};
  input.predictions[1].text = "<script>alert(1)</script>\x01\xff";
  input.predictions[0].defect_type = "\"><img src=x>";
  input.metrics = compute_metrics(input.predictions, InvalidPolicy::kWrong);
  input.settings.set("prompt", "</pre><script>alert(2)</script>");
  const fs::path image = folder_ / "data" / "a \"#1\".png";
  write_png(image, {4, 8, std::vector<uint8_t>(96, 200)});
  input.images = {{"a \"#1\".png", image}, {"b.png", folder_ / "data" / "missing.png"}};
  const std::string html = page(input);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<b>gear")));
  EXPECT_THAT(html, Not(HasSubstr("<img src=x>")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;\xEF\xBF\xBD\xEF\xBF\xBD"));
  EXPECT_THAT(html, HasSubstr("href=\"../data/a%20%22%231%22.png\""));
  EXPECT_THAT(html, HasSubstr("src=\"images/0.png\""));
  EXPECT_THAT(html, HasSubstr("image not readable"));
  EXPECT_TRUE(fs::exists(folder_ / "report" / "images" / "0.png"));
  EXPECT_FALSE(fs::exists(folder_ / "report" / "images" / "1.png"));
}

TEST_F(Report, ShowsCountsWhereThereAreNoLabels) {
  ReportInput input;
  input.title = "t";
  input.predictions = {made_up("a.png", std::nullopt, Verdict::kDefect)};
  input.metrics = compute_metrics(input.predictions, InvalidPolicy::kWrong);
  const std::string html = page(input);
  EXPECT_THAT(html, HasSubstr("Called defect"));
  EXPECT_THAT(html, Not(HasSubstr("By object")));
}

TEST_F(Report, ReplacesAnOlderOne) {
  ReportInput input;
  input.title = "first";
  page(input);
  std::ofstream(folder_ / "report" / "images" / "9.jpg") << "old";
  input.title = "second";
  EXPECT_THAT(page(input), HasSubstr("second"));
  EXPECT_FALSE(fs::exists(folder_ / "report" / "images" / "9.jpg"));
}

TEST(Gallery, ShowsMistakesFirstAndAlwaysSomeThatAreRight) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 50; ++i) predictions.push_back(made_up(std::to_string(i), Verdict::kNormal, Verdict::kNormal));
  for (int i = 0; i < 50; ++i)
    predictions.push_back(made_up(std::to_string(50 + i), Verdict::kDefect, Verdict::kNormal));
  const std::vector<const Prediction*> chosen = choose_gallery(predictions, 20);
  ASSERT_EQ(chosen.size(), 20u);
  for (size_t i = 0; i < chosen.size(); ++i) {
    EXPECT_EQ(outcome_of(*chosen[i]), i < 15 ? Outcome::kMissed : Outcome::kRight);
  }
  EXPECT_EQ(choose_gallery(predictions, 1000).size(), 100u);
  EXPECT_TRUE(choose_gallery(predictions, 0).empty());
}

TEST(HtmlEscape, KeepsGoodUtf8AndReplacesBroken) {
  EXPECT_EQ(html_escape("é中😀\n\t"), "é中😀\n\t");
  EXPECT_EQ(html_escape("a\xC0\x80z"), "a\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_EQ(html_escape("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(html_escape("\xE4\xB8"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(html_escape("&<>\"'"), "&amp;&lt;&gt;&quot;&#39;");
}

TEST(Thumbnail, KeepsSmallImagesExactAndShrinksLargeOnes) {
  const TempFolder folder;
  const fs::path path = folder.path() / "image.png";
  write_png(path, {30, 60, std::vector<uint8_t>(5400, 90)});
  EXPECT_EQ(make_thumbnail(path, 60).extension, ".png");
  const Thumbnail small = make_thumbnail(path, 20);
  EXPECT_EQ(small.extension, ".jpg");
  EXPECT_EQ(small.width, 20);
  EXPECT_EQ(small.height, 10);
}

}  // namespace
}  // namespace lriad

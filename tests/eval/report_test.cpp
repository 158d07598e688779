#include "lriad/eval/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/write_png.h"
#include "src/eval/report_page.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
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

/// An image that no coding makes small.
Image noise(int64_t height, int64_t width) {
  Image image{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
  std::mt19937 random(7);
  for (uint8_t& level : image.rgb) level = static_cast<uint8_t>(random());
  return image;
}

class Report : public ::testing::Test {
 protected:
  Report() { fs::create_directories(folder_ / "data"); }

  std::string page(const ReportInput& input) const {
    write_report(folder_ / "report", input);
    return read_file("test", folder_ / "report" / "index.html");
  }

  static json data_of(const std::string& html) {
    const std::string opening = "id=\"data\">";
    const size_t begin = html.find(opening) + opening.size();
    return json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  }

  /// Of the report of one image with this file.
  ReportInput one_image(const fs::path& file) const {
    ReportInput input;
    input.title = "t";
    input.predictions = {made_up("a.png", Verdict::kDefect, Verdict::kNormal)};
    input.metrics = compute_metrics(input.predictions, InvalidPolicy::kWrong);
    input.images = {{"a.png", file}};
    return input;
  }

  std::vector<std::string> thumbnails() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / "report" / "images"))
      names.push_back("images/" + entry.path().filename().string());
    return names;
  }

  TempFolder temporary_;
  const fs::path folder_ = temporary_.path();
};

TEST_F(Report, KeepsEveryTextAsTextAndLinksTheImages) {
  ReportInput input;
  input.title = "model & <script>alert(0)</script>";
  input.about = {{"Prompt", "</script><script>alert(3)</script>"}};
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
  EXPECT_THAT(html, Not(HasSubstr("<img src=x>")));
  EXPECT_THAT(html, HasSubstr("<title>model &amp; &lt;script&gt;alert(0)&lt;/script&gt;</title>"));
  const json data = data_of(html);
  EXPECT_EQ(data["title"], input.title);
  EXPECT_EQ(data["about"][0][1], "</script><script>alert(3)</script>");
  EXPECT_EQ(data["metrics"]["settings"]["prompt"], "</pre><script>alert(2)</script>");
  EXPECT_EQ(data["rows"][0]["type"], "\"><img src=x>");
  EXPECT_EQ(data["rows"][0]["file"], "../data/a%20%22%231%22.png");
  EXPECT_EQ(thumbnails(), std::vector{data["rows"][0]["thumbnail"].get<std::string>()});
  EXPECT_EQ(data["rows"][1]["text"], "<script>alert(1)</script>\x01\xEF\xBF\xBD");
  EXPECT_FALSE(data["rows"][1].contains("thumbnail"));
}

TEST_F(Report, HasTheFiguresOfMetricsJson) {
  ReportInput input;
  input.predictions = {made_up("a.png", Verdict::kDefect, Verdict::kDefect),
                       made_up("b.png", Verdict::kNormal, Verdict::kDefect)};
  input.predictions[0].score = 0.75;
  input.metrics = compute_metrics(input.predictions, InvalidPolicy::kWrong, /*skipped=*/1);
  input.metrics.chosen_on = {"auroc on parts, split test", true};
  const json data = data_of(page(input));
  write_metrics(folder_ / "metrics.json", input.metrics, input.predictions, input.settings);
  EXPECT_EQ(data["metrics"], json::parse(read_file("test", folder_ / "metrics.json")));
  EXPECT_EQ(data["rows"][0]["score"], 0.75);
  EXPECT_FALSE(data["rows"][1].contains("score"));
}

TEST_F(Report, ReplacesAnOlderOneAndKeepsItsThumbnails) {
  const fs::path image = folder_ / "data" / "a.png";
  write_png(image, {4, 8, std::vector<uint8_t>(96, 200)});
  page(one_image(image));
  const std::vector<std::string> first = thumbnails();
  ASSERT_EQ(first.size(), 1u);
  const auto made = fs::last_write_time(folder_ / "report" / first[0]);
  std::ofstream(folder_ / "report" / "images" / "9.jpg") << "old";
  ReportInput again = one_image(image);
  again.title = "second";
  EXPECT_THAT(page(again), HasSubstr("<title>second</title>"));
  EXPECT_EQ(thumbnails(), first);
  EXPECT_EQ(fs::last_write_time(folder_ / "report" / first[0]), made);
  write_png(image, {8, 8, std::vector<uint8_t>(192, 100)});
  page(again);
  ASSERT_EQ(thumbnails().size(), 1u);
  EXPECT_NE(thumbnails(), first);
}

// A file size limit stands for a full disk: writing a thumbnail or the page ends half-way.
TEST_F(Report, ThatCannotBeWrittenLeavesTheOlderOneWhole) {
  const fs::path image = folder_ / "data" / "a.png";
  write_png(image, {4, 8, std::vector<uint8_t>(96, 200)});
  const std::string before = page(one_image(image));
  const std::vector<std::string> thumbnails_before = thumbnails();
  ReportInput next = one_image(folder_ / "data" / "b.png");
  write_png(folder_ / "data" / "b.png", noise(300, 300));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit usual{};
  getrlimit(RLIMIT_FSIZE, &usual);
  for (const rlim_t limit : {rlim_t{2000}, rlim_t{25'000}}) {
    const rlimit small{limit, usual.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    EXPECT_THROW(write_report(folder_ / "report", next), Error);
    setrlimit(RLIMIT_FSIZE, &usual);
    EXPECT_EQ(read_file("test", folder_ / "report" / "index.html"), before);
    EXPECT_THAT(thumbnails(), ::testing::IsSupersetOf(thumbnails_before));
  }
  page(next);
  EXPECT_EQ(thumbnails().size(), 1u);
}

TEST_F(Report, ThinsTheCurvesOfALongRun) {
  const fs::path log = folder_ / "metrics.jsonl";
  std::ofstream file(log);
  for (int step = 1; step <= 1000; ++step) {
    file << json{{"step", step}, {"reward", step % 2}, {"time/step", 1.5}, {"loss", nullptr}}.dump() << '\n';
    if (step % 250 == 0) file << json{{"step", step}, {"eval_auroc", 0.5}}.dump() << '\n';
  }
  file << "{\"step\": 1001, \"rew";
  file.close();
  const json curves = json::parse(curves_json(log));
  EXPECT_EQ(curves.size(), 2u);
  ASSERT_EQ(curves["reward"].size(), 334u);
  EXPECT_EQ(curves["reward"][0], json::parse("[2.0, 0.6666666666666666]"));
  EXPECT_EQ(curves["eval_auroc"].size(), 4u);
  EXPECT_EQ(curves_json(folder_ / "missing"), "{}");
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

// 20 MB for 1000 images, whatever they show.
TEST(Thumbnail, IsNeverLarge) {
  const TempFolder folder;
  const fs::path path = folder.path() / "image.png";
  for (const auto& [height, width] : {std::pair{900, 700}, {360, 360}, {168, 168}}) {
    write_png(path, noise(height, width));
    const Thumbnail thumbnail = make_thumbnail(path, 400);
    EXPECT_LE(std::ssize(thumbnail.bytes), 20'000) << height;
    EXPECT_EQ(thumbnail.extension, ".jpg");
    EXPECT_GE(thumbnail.width, 100);
  }
}

}  // namespace
}  // namespace lriad

#include "lriad/eval/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/data/mask.h"
#include "lriad/eval/map_metrics.h"
#include "lriad/eval/predictions.h"
#include "lriad/vision/write_png.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

HeatMap map_of_json(const Json& rows) {
  HeatMap map;
  map.rows = std::ssize(rows);
  map.columns = std::ssize(rows[0]);
  for (const Json& row : rows) {
    for (const Json& cell : row) map.cells.push_back(cell.get<double>());
  }
  return map;
}

// Golden: scripts/golden/make_heat_maps.py, torch's interpolate and scikit-learn's roc_auc_score.
TEST(HeatMap, IsWorthAgainstMasksWhatScikitLearnSays) {
  const Json cases = Json::parse(read_file("test", fs::path(LRIAD_GOLDEN_DIR) / "map_masks.json"));
  for (const Json& item : cases) {
    const HeatMap map = map_of_json(item["cells"]);
    const int64_t height = item["height"], width = item["width"];
    std::vector<bool> mask;
    for (const char digit : item["mask"].get<std::string>()) mask.push_back(digit == '1');
    const PixelMap pixels = pixels_of(map, height, width);
    ASSERT_EQ(pixels.values.size(), mask.size());
    EXPECT_NEAR(std::accumulate(pixels.values.begin(), pixels.values.end(), 0.0), item["pixel_sum"].get<double>(),
                1e-9);
    const auto area = pixel_auroc(pixels.values, mask);
    ASSERT_EQ(area.has_value(), !item["auroc"].is_null()) << item;
    if (area) {
      EXPECT_NEAR(*area, item["auroc"].get<double>(), 1e-12) << item;
    }
    EXPECT_EQ(hits_defect(map, height, width, mask), item["hit"].get<bool>()) << item;
  }
}

TEST(HeatMap, NormsToTheRangeOrToNothing) {
  EXPECT_THAT(norm01({2, 4, 3}), ElementsAre(0, 1, 0.5));
  EXPECT_THAT(norm01({2, 2}), ElementsAre(0, 0));
  EXPECT_TRUE(norm01({}).empty());
}

TEST(HeatMap, HidesATenthOfTheCellsTheStrongestFirst) {
  EXPECT_EQ(num_hidden_cells(1), 1);
  EXPECT_EQ(num_hidden_cells(4), 1);
  EXPECT_EQ(num_hidden_cells(36), 4);
  EXPECT_THAT(strongest_cells({0.1, 0.7, 0.2, 0.7}, 3), ElementsAre(1, 3, 2));
}

HeatMap small_map(double drop = 3, double random_drop = 0.5) {
  return {2, 2, {0, 0.25, 0.5, 1}, drop, random_drop, "maps/0.png"};
}

TEST(HeatMap, ComesBackFromItsLine) {
  Prediction p;
  p.sample_id = p.image = p.object = "a";
  p.verdict = Verdict::kDefect;
  EXPECT_THAT(prediction_line(p), Not(HasSubstr("map")));
  p.map = small_map();
  const std::string line = prediction_line(p);
  EXPECT_THAT(line, HasSubstr(R"("map":{"cells":[[0.0,0.25],[0.5,1.0]],"deletion":{"map":3.0,"random":0.5},)"
                              R"("file":"maps/0.png"})"));
  const Prediction back = parse_prediction(line);
  ASSERT_TRUE(back.map);
  EXPECT_EQ(prediction_line(back), line);
  for (const char* bad : {R"("map":{"cells":[[0.0],[0.5,1.0]],"deletion":{"map":3.0,"random":0.5},"file":""})",
                          R"("map":{"cells":[],"deletion":{"map":3.0,"random":0.5},"file":""})",
                          R"("map":{"cells":[[1]],"deletion":3,"file":""})", R"("map":7)"}) {
    const std::string text = line.substr(0, line.find("\"map\":{")) + bad + "}";
    EXPECT_THROW(parse_prediction(text), Error) << text;
  }
}

/// Two images of 4 x 4 pixels with maps, the defect's mask in the lower right corner.
class MapMetricsTest : public ::testing::Test {
 protected:
  void add(const std::string& id, Verdict verdict, const HeatMap& map, int64_t mask_side = 4) {
    Sample sample;
    sample.id = sample.image = id;
    sample.path = folder_.path() / (id + ".png");
    sample.label = Verdict::kDefect;
    sample.mask = folder_.path() / (id + "_mask.png");
    write_png(sample.path, {4, 4, std::vector<uint8_t>(48, 100)});
    std::vector<uint8_t> levels(static_cast<size_t>(mask_side * mask_side));
    levels.back() = 255;
    write_gray_png(sample.mask, {mask_side, mask_side, levels});
    Prediction prediction = prediction_of(sample);
    prediction.verdict = verdict;
    prediction.map = map;
    dataset_.samples.push_back(sample);
    predictions_.push_back(prediction);
  }
  MapMetrics metrics() const { return map_metrics(predictions_, dataset_); }

  const TempFolder folder_;
  Dataset dataset_;
  std::vector<Prediction> predictions_;
};

TEST_F(MapMetricsTest, CountTheFoundDefectsAndTheMissedOnesApart) {
  HeatMap wrong = small_map(0.1, 0.3);
  std::ranges::reverse(wrong.cells);
  add("a", Verdict::kDefect, small_map(3, 0.5));
  add("b", Verdict::kDefect, wrong);
  add("c", Verdict::kNormal, small_map(-4, 9));
  const MapMetrics maps = metrics();
  EXPECT_EQ(maps.n, 2);
  EXPECT_DOUBLE_EQ(*maps.drop, 1.55);
  EXPECT_DOUBLE_EQ(*maps.random_drop, 0.4);
  EXPECT_DOUBLE_EQ(*maps.deletion_ratio, 1.55 / 0.4);
  EXPECT_EQ(maps.weaker, 1);
  EXPECT_EQ(maps.found.n, 2);
  EXPECT_DOUBLE_EQ(*maps.found.hit_rate, 0.5);
  EXPECT_DOUBLE_EQ(*maps.found.pixel_auroc, 0.5);
  EXPECT_EQ(maps.missed.n, 1);
  EXPECT_DOUBLE_EQ(*maps.missed.hit_rate, 1);
  EXPECT_THAT(map_text(maps), HasSubstr("maps act 3.88 times as strongly as random cells"));
  EXPECT_THAT(map_text(maps), HasSubstr("1 of them no better than random"));
}

TEST_F(MapMetricsTest, SayWhenAMapDoesNotBeatRandomCells) {
  add("a", Verdict::kDefect, small_map(0.3, 0.35));
  EXPECT_THAT(map_text(metrics()), HasSubstr("maps act no more strongly than random cells: they do not show"));
  EXPECT_THAT(deletion_text(small_map(0.3, 0.35)), HasSubstr("no better than random"));
  EXPECT_THAT(deletion_text(small_map()), Not(HasSubstr("no better")));
}

TEST_F(MapMetricsTest, HaveNoRatioWhereRandomCellsDoNotLowerTheScore) {
  add("a", Verdict::kDefect, small_map(3, -0.1));
  EXPECT_FALSE(metrics().deletion_ratio);
  EXPECT_THAT(map_text(metrics()), HasSubstr("maps act, random cells do not"));
  predictions_[0].verdict = Verdict::kNormal;
  EXPECT_THAT(map_text(metrics()), HasSubstr("no image was called defect"));
}

TEST_F(MapMetricsTest, LeaveOutAMaskOfAnotherSize) {
  add("a", Verdict::kDefect, small_map(), /*mask_side=*/5);
  EXPECT_EQ(metrics().found.n, 0);
  fs::remove(dataset_.samples[0].mask);
  EXPECT_EQ(metrics().found.n, 0);
  EXPECT_EQ(metrics().n, 1);
}

TEST(HeatMap, LiesOverTheImage) {
  const TempFolder folder;
  const fs::path file = folder.path() / "image.png", overlay = folder.path() / "maps" / "0.png";
  write_png(file, {8, 20, std::vector<uint8_t>(480, 100)});
  write_overlay(overlay, file, small_map(), /*max_side=*/10);
  const Image image = decode_image(overlay, ResizeBackend::kPil);
  EXPECT_EQ(image.height, 4);
  EXPECT_EQ(image.width, 10);
  EXPECT_THAT(std::vector<uint8_t>(image.rgb.begin(), image.rgb.begin() + 3), ElementsAre(100, 100, 100));
  EXPECT_GT(image.rgb[117], 170);  // red at the strongest cell
  EXPECT_LT(image.rgb[119], 60);
}

}  // namespace
}  // namespace lriad

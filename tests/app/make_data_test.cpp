#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "lriad/core/error.h"
#include "src/app/tool_make_data.h"
#include "src/app/tool_make_data_parts.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Files = std::map<std::string, std::string>;

class MakeData : public ::testing::Test {
 protected:
  void run(const std::string& name, const std::string& options) const {
    CLI::App app;
    add_make_data_command(app);
    app.parse("make-data --output " + (folder_ / name).string() + " " + options);
  }

  std::string error_of(const std::string& name, const std::string& options) const {
    try {
      run(name, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  Files files(const std::string& name) const {
    Files found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / name)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      found[entry.path().lexically_relative(folder_ / name).generic_string()] =
          std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    }
    return found;
  }

  const TempFolder temporary_;
  const fs::path& folder_ = temporary_.path();
};

TEST_F(MakeData, GivesTheSameBytesForASeedAndOthersForAnother) {
  run("a", "--images 8 --objects gear,nut --defect-rate 0.5 --size 20 --seed 3");
  run("b", "--images 8 --objects gear,nut --defect-rate 0.5 --size 20 --seed 3");
  run("c", "--images 8 --objects gear,nut --defect-rate 0.5 --size 20 --seed 4");
  const Files a = files("a"), b = files("b"), c = files("c");
  EXPECT_EQ(a, b);
  ASSERT_EQ(a.size(), 17u);
  for (const auto& [name, bytes] : c) EXPECT_NE(bytes, a.at(name)) << name;
}

TEST_F(MakeData, LaysFilesOutAsMvtecDoes) {
  run("a", "--images 9 --objects ring --defect-rate 0.01 --size 16");
  const Files found = files("a");
  EXPECT_TRUE(found.contains("ring/train/good/005.png"));
  EXPECT_TRUE(found.contains("ring/test/good/001.png"));
  EXPECT_TRUE(found.contains("ring/test/scratch/000.png"));
  EXPECT_EQ(found.size(), 10u);
  EXPECT_FALSE(fs::exists(folder_ / ".a.making"));
}

TEST_F(MakeData, WritesMasksOfDefectsIfAsked) {
  const std::string options = "--images 10 --objects ring --defect-rate 0.5 --contrast-min 0.05 --contrast-max 0.2 ";
  run("plain", options);
  run("masks", options + "--masks");
  Files found = files("masks");
  EXPECT_EQ(
      std::erase_if(found, [](const auto& file) { return file.first.find("ground_truth/") != std::string::npos; }), 5u);
  found.erase("make_data.json");
  Files plain = files("plain");
  plain.erase("make_data.json");
  EXPECT_EQ(found, plain);
  const fs::path mask = folder_ / "masks/ring/ground_truth/scratch/001_mask.png";
  const Image image = decode_image(mask, ResizeBackend::kPil);
  const auto share = static_cast<double>(std::ranges::count(image.rgb, 255)) / static_cast<double>(image.rgb.size());
  EXPECT_EQ(std::ranges::count(image.rgb, 255) + std::ranges::count(image.rgb, 0), std::ssize(image.rgb));
  EXPECT_GT(share, 0.005);
  EXPECT_LT(share, 0.3);
  EXPECT_THAT(error_of("masks", options), HasSubstr("is not empty"));
  run("lines", options + "--masks --format jsonl");
  EXPECT_THAT(files("lines").at("data.jsonl"), HasSubstr("\"mask\":\"images/ring/ground_truth/crack/000_mask.png\""));
}

TEST_F(MakeData, WritesTargetTextsAsJsonLines) {
  run("a", "--images 40 --objects ring --defect-rate 0.5 --size 8 --format jsonl");
  const std::string lines = files("a").at("data.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 40);
  EXPECT_THAT(lines, HasSubstr("\"image\":\"images/ring/train/good/000.png\""));
  EXPECT_THAT(lines, HasSubstr("ring with a dent </think> <answer>A</answer>"));
  EXPECT_THAT(lines, HasSubstr("ring </think> <answer>B</answer>"));
}

TEST_F(MakeData, OverlooksFaintDefectsInTargetTextsOnly) {
  const std::string options = "--images 40 --objects ring --defect-rate 1 --size 8 --format jsonl --overlook-below ";
  run("all", options + "1");
  const std::string overlooked = files("all").at("data.jsonl");
  EXPECT_THAT(overlooked, Not(HasSubstr("<answer>A")));
  EXPECT_THAT(overlooked, Not(HasSubstr("\"label\":\"normal\"")));
  run("some", options + "0.65");
  EXPECT_THAT(files("some").at("data.jsonl"), AllOf(HasSubstr("<answer>A"), HasSubstr("<answer>B")));
}

TEST_F(MakeData, LeavesEqualDataAloneAndRefusesOther) {
  run("a", "--images 3 --objects ring --size 8");
  const auto written = fs::last_write_time(folder_ / "a" / "make_data.json");
  run("a/", "--images 3 --objects ring --size 8");
  EXPECT_EQ(fs::last_write_time(folder_ / "a" / "make_data.json"), written);
  EXPECT_THAT(error_of("a", "--images 4 --objects ring --size 8"), HasSubstr("is not empty"));
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THAT(error_of("file", "--images 3"), HasSubstr("is not a folder"));
}

TEST_F(MakeData, RefusesBadOptionsByName) {
  EXPECT_THAT(error_of("x", "--images=-3"), HasSubstr("--images is -3"));
  EXPECT_THAT(error_of("x", "--defect-rate 1.5"), HasSubstr("--defect-rate is 1.5"));
  EXPECT_THAT(error_of("x", "--size 100000"), HasSubstr("--size"));
  EXPECT_THAT(error_of("x", "--format visa"), HasSubstr("--format is visa"));
  EXPECT_THAT(error_of("x", "--objects geer"), HasSubstr("geer"));
  EXPECT_THAT(error_of("x", "--objects gear,gear"), HasSubstr("twice"));
  EXPECT_THAT(error_of("x", "--contrast-min 0.8 --contrast-max 0.2"), HasSubstr("--contrast-min"));
  EXPECT_THAT(error_of("x", "--overlook-below 0.5"), HasSubstr("--overlook-below acts on target texts"));
  EXPECT_FALSE(fs::exists(folder_ / "x"));
}

int64_t orange_pixels(const PartImage& image) {
  int64_t count = 0;
  for (size_t i = 0; i < image.image.rgb.size(); i += 3) {
    if (image.image.rgb[i] > image.image.rgb[i + 2] + 90) ++count;
  }
  return count;
}

TEST(DrawPart, ShowsEveryDefectOnEveryPart) {
  for (const std::string& part : part_names()) {
    EXPECT_EQ(orange_pixels(draw_part({part, "", 1, 56, 1, 1, 5})), 0) << part;
    for (const std::string& defect : part_defects()) {
      EXPECT_GE(orange_pixels(draw_part({part, defect, 1, 56, 1, 1, 5})), 12) << part << " " << defect;
    }
  }
}

TEST(DrawPart, MasksWhatTheDefectChanges) {
  const PartRequest faint = {"tile", "stain", 2, 56, 0.1, 0.1, 5}, normal_twin = {"tile", "stain", 2, 56, 0, 0, 5};
  const std::vector<uint8_t> mask = draw_mask(faint), with = draw_part(faint).image.rgb,
                             without = draw_part(normal_twin).image.rgb;
  for (size_t i = 0; i < with.size(); ++i) {
    if (with[i] != without[i]) {
      EXPECT_EQ(mask[i / 3], 255) << i;
    }
  }
  EXPECT_GT(std::ranges::count(mask, 255), 12);
}

TEST(DrawPart, HidesDefectsOfContrastZero) {
  EXPECT_EQ(orange_pixels(draw_part({"tile", "stain", 2, 56, 0, 0, 5})), 0);
}

}  // namespace
}  // namespace lriad

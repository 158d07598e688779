#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_folder.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Mvtec : public ::testing::Test {
 protected:
  Mvtec() : section_(data_.section("mvtec")) {
    data_.files({"metal_nut/train/good/001.png", "metal_nut/train/good/000.PNG", "metal_nut/test/good/000.jpg",
                 "metal_nut/test/bent/000.bmp", "metal_nut/test/bent/.hidden.png", "metal_nut/test/bent/notes.txt",
                 "metal_nut/ground_truth/bent/000_mask.png", "metal_nut/test/ground_truth/bent/000.png",
                 "01/train/ok/0.tif", "01/test/ko/0.JPEG", "01/validation/ok/1.tiff", "license.txt", "extra/readme.png",
                 ".cache/train/good/0.png"});
  }
  Dataset read() const { return read_dataset(section_); }
  auto refuses(const std::string& a, const std::string& b) const {
    return ThrowsMessage<Error>(AllOf(HasSubstr("[data] "), HasSubstr(a), HasSubstr(b)));
  }

  DataFolder data_;
  DataSection section_;
};

TEST_F(Mvtec, ReadsTrainAndTestSortedByPath) {
  const Dataset dataset = read();
  EXPECT_THAT(images_of(dataset), ElementsAre("01/test/ko/0.JPEG", "01/train/ok/0.tif", "metal_nut/test/bent/000.bmp",
                                              "metal_nut/test/good/000.jpg", "metal_nut/train/good/000.PNG",
                                              "metal_nut/train/good/001.png"));
  const Sample& bent = dataset.samples[2];
  EXPECT_EQ(bent.id, bent.image);
  EXPECT_TRUE(bent.path.is_absolute());
  EXPECT_TRUE(fs::exists(bent.path));
  EXPECT_EQ(bent.object, "metal_nut");
  EXPECT_EQ(bent.object_name, "metal nut");
  EXPECT_EQ(bent.defect_type, "bent");
  EXPECT_EQ(bent.label, Verdict::kDefect);
  EXPECT_EQ(dataset.samples[1].label, Verdict::kNormal);
  EXPECT_EQ(dataset.samples[1].defect_type, "");
  EXPECT_EQ(dataset.count(Verdict::kNormal), 4);
  EXPECT_EQ(dataset.count(Verdict::kDefect, "01"), 1);
}

TEST_F(Mvtec, FindsTheMasksOfDefects) {
  data_.files({"01/ground_truth/ko/0.bmp", "01/ground_truth/ok/0.png"});
  const Dataset dataset = read();
  EXPECT_EQ(dataset.samples[0].mask, dataset.root / "01/ground_truth/ko/0.bmp");
  EXPECT_TRUE(dataset.samples[1].mask.empty());
  EXPECT_EQ(dataset.samples[2].mask, dataset.root / "metal_nut/ground_truth/bent/000_mask.png");
  fs::remove_all(data_.path() / "metal_nut/ground_truth");
  EXPECT_TRUE(read().samples[2].mask.empty());
}

TEST_F(Mvtec, ComparesPathComponentsOnly) {
  DataFolder data;
  data.files({"test_good/train/good/0.png", "test_good/test/not_good/0.png", "good/test/goodies/0.png"});
  for (const Sample& sample : read_dataset(data.section("mvtec")).samples) {
    EXPECT_EQ(sample.label == Verdict::kNormal, sample.image == "test_good/train/good/0.png") << sample.image;
  }
}

TEST_F(Mvtec, TakesOneSplit) {
  section_.split = "train";
  EXPECT_EQ(read().samples.size(), 3u);
  section_.split = "test";
  EXPECT_EQ(read().samples.size(), 3u);
  section_.split = "validation";
  EXPECT_THAT(images_of(read()), ElementsAre("01/validation/ok/1.tiff"));
  section_.split = "tset";
  EXPECT_THAT([&] { read(); }, refuses("data.split is tset", "expected one of all, test, train, validation"));
}

TEST_F(Mvtec, TakesWantedObjectsAndTheirAliases) {
  section_.objects = {{"01"}};
  section_.object_names = {{"01", "circular mold"}};
  const Dataset dataset = read();
  ASSERT_EQ(dataset.samples.size(), 2u);
  EXPECT_EQ(dataset.samples[0].object_name, "circular mold");
  section_.object_names = {{"O1", "circular mold"}};
  EXPECT_THAT([&] { read(); }, refuses("data.object_names: O1 is not in", "01, metal_nut"));
  section_.object_names.clear();
  section_.objects = {{"01", "nosuch"}};
  EXPECT_THAT([&] { read(); }, refuses("nosuch", "01, metal_nut"));
}

TEST_F(Mvtec, SpreadsMaxSamplesOverTheList) {
  section_.max_samples = 3;
  EXPECT_THAT(images_of(read()),
              ElementsAre("01/test/ko/0.JPEG", "metal_nut/test/bent/000.bmp", "metal_nut/train/good/000.PNG"));
  section_.max_samples = 100;
  EXPECT_EQ(read().samples.size(), 6u);
}

TEST_F(Mvtec, RefusesRootsThatHoldNothing) {
  section_.root = (data_.path() / "none").string();
  EXPECT_THAT([&] { read(); }, refuses("none", "No such file"));
  section_.root = (data_.path() / "license.txt").string();
  EXPECT_THAT([&] { read(); }, refuses("license.txt is a file", "expected a folder"));
  section_.root = (data_.path() / "extra").string();
  EXPECT_THAT([&] { read(); }, refuses("extra", "expected the layout of format mvtec"));
  section_.root = (data_.path() / "metal_nut").string();
  EXPECT_THAT([&] { read(); }, refuses("metal_nut", "give the folder above it"));
  fs::create_directories(data_.path() / "empty/bottle/train");
  section_.root = (data_.path() / "empty").string();
  EXPECT_THAT([&] { read(); }, refuses("empty", "has no images of split all"));
  const TempFolder elsewhere;
  fs::create_symlink("loop", elsewhere.path() / "loop");
  section_.root = (elsewhere.path() / "loop").string();
  EXPECT_THAT([&] { read(); }, refuses("loop", "symbolic links"));
}

TEST_F(Mvtec, FollowsLinksOutOfTheRootUnlessToldNotTo) {
  fs::create_symlink("../bent/000.bmp", data_.path() / "metal_nut/test/good/link.bmp");
  EXPECT_EQ(read().samples.size(), 7u);
  const TempFolder blobs;
  write_file_atomic("test", blobs.path() / "4f2a", "");
  fs::create_symlink(blobs.path() / "4f2a", data_.path() / "01/test/ko/out.png");
  fs::create_directories(blobs.path() / "bolt/test/good");
  write_file_atomic("test", blobs.path() / "bolt/test/good/0.png", "");
  fs::create_directory_symlink(blobs.path() / "bolt", data_.path() / "bolt");
  const Dataset dataset = read();
  EXPECT_EQ(dataset.samples.size(), 9u);
  EXPECT_EQ(dataset.count(Verdict::kNormal, "bolt"), 1);
  section_.follow_links = false;
  EXPECT_THAT([&] { read(); }, refuses("is a link that leaves", "data.follow_links: true"));
  fs::remove(data_.path() / "bolt");
  EXPECT_THAT([&] { read(); }, refuses("01/test/ko/out.png is a link that leaves", "data.follow_links: true"));
}

TEST_F(Mvtec, RefusesLinksThatTurnBack) {
  fs::create_directory_symlink(data_.path(), data_.path() / "01/test/turning");
  EXPECT_THAT([&] { read(); }, refuses("01/test/turning is a link back to", "which holds it"));
  fs::remove(data_.path() / "01/test/turning");
  fs::create_symlink("turning", data_.path() / "01/test/turning");
  EXPECT_THAT([&] { read(); }, refuses("01/test/turning", "leads back to itself"));
}

TEST(MvtecNames, NormalFoldersHaveAnyUsualName) {
  const DataFolder data;
  const std::vector<std::string> names = {"good", "Good", "GOOD", "ok", "OK", "normal", "NORMAL", "defect-free"};
  for (const std::string& name : names) data.files({"o_" + name + "/train/" + name + "/0.png"});
  EXPECT_EQ(read_dataset(data.section("mvtec")).count(Verdict::kNormal), std::ssize(names));
  const DataFolder classes;
  for (const std::string& name : names) classes.files({"o_" + name + "/" + name + "/0.png"});
  EXPECT_EQ(read_dataset(classes.section("folder")).count(Verdict::kNormal), std::ssize(names));
}

TEST(MvtecNames, TrainingImagesWithoutANormalFolderAreRefused) {
  const DataFolder data;
  data.files({"nut/train/fine/0.png", "nut/test/good/0.png", "nut/test/bent/0.png"});
  DataSection section = data.section("mvtec");
  EXPECT_THAT([&] { read_dataset(section); }, ThrowsMessage<Error>(AllOf(HasSubstr("nut/train has images of fine only"),
                                                                         HasSubstr("good, ok, normal"))));
  section.split = "test";
  EXPECT_EQ(read_dataset(section).samples.size(), 2u);
}

TEST(MvtecNames, ImagesThatWouldBeLeftOutAreNamedOrRefused) {
  const auto refused = [](const std::vector<std::string>& files, const std::string& words) {
    const DataFolder data;
    data.files({"nut/train/good/0.png", "nut/test/good/0.png"});
    data.files(files);
    EXPECT_THAT([&] { read_dataset(data.section("mvtec")); }, ThrowsMessage<Error>(HasSubstr(words)));
  };
  refused({"nut/test_public/bad/0.png"}, "nut/test_public has images that format mvtec does not read");
  refused({"nut/test/000.png"}, "nut/test has images itself, such as 000.png");
  refused({"nut/test/good/view/0.png", "nut/test/bent/view/0.png"}, "nut/test/bent has its images in folders below it");
  refused({"nut/test/train/0.png"}, "nut/test/train is named like a split");
  const DataFolder data;
  data.files({"nut/train/good/0.png", "nut/validation/good/0.png", "extra/0.png", "docs/notes.txt"});
  EXPECT_THAT(read_dataset(data.section("mvtec")).left_out, ElementsAre("extra", "nut/validation"));
}

TEST_F(Mvtec, ReadsThroughALinkToTheRoot) {
  const TempFolder elsewhere;
  fs::create_directory_symlink(data_.path(), elsewhere.path() / "link");
  section_.root = (elsewhere.path() / "link").string();
  EXPECT_EQ(read().samples.size(), 6u);
}

TEST_F(Mvtec, RefusesNamesThatAreNotUtf8) {
  data_.file("01/test/ko/\xFF.png");
  EXPECT_THAT([&] { read(); }, refuses("01/test/ko/", "not UTF-8"));
}

TEST(BallScrew, HasThePublishedCounts) {
  const fs::path root = fs::path(LRIAD_BALL_SCREW);
  if (!fs::exists(root)) GTEST_SKIP() << "the real photographs are not at " << root;
  DataSection section;
  section.root = root.string();
  const Dataset dataset = read_dataset(section);
  EXPECT_EQ(dataset.samples.size(), 734u);
  EXPECT_EQ(dataset.samples[0].object_name, "ball screw");
  EXPECT_EQ(dataset.count(Verdict::kDefect, "ball_screw"), 270);
}

}  // namespace
}  // namespace lriad

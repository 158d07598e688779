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

auto refuses(const std::string& a, const std::string& b) {
  return ThrowsMessage<Error>(AllOf(HasSubstr("[data] "), HasSubstr(a), HasSubstr(b)));
}

TEST(FolderFormat, ReadsObjectsWithClasses) {
  const DataFolder data;
  data.files({"gear/OK/0.png", "gear/cracked/0.png", "gear/ground_truth/0.png", "belt/normal/0.png"});
  const Dataset dataset = read_dataset(data.section("folder"));
  EXPECT_THAT(images_of(dataset), ElementsAre("belt/normal/0.png", "gear/OK/0.png", "gear/cracked/0.png"));
  EXPECT_EQ(dataset.samples[1].label, Verdict::kNormal);
  EXPECT_EQ(dataset.samples[2].label, Verdict::kDefect);
  EXPECT_EQ(dataset.samples[2].defect_type, "cracked");
  EXPECT_EQ(dataset.samples[2].object, "gear");
}

TEST(FolderFormat, NamesASingleObjectAfterTheRoot) {
  const DataFolder data;
  data.files({"good/0.png", "bad/0.png"});
  DataSection section = data.section("folder");
  const Dataset dataset = read_dataset(section);
  EXPECT_THAT(images_of(dataset), ElementsAre("bad/0.png", "good/0.png"));
  EXPECT_EQ(dataset.samples[0].object, "set");
  section.objects = {{"other"}};
  EXPECT_THAT([&] { read_dataset(section); }, refuses("other is not in", "expected some of set"));
}

TEST(FolderFormat, NeverTakesTheNameOfASplitForAnObjectOrADefect) {
  const DataFolder data;
  data.files({"nut/test/good/0.png", "nut/test/bent/0.png", "nut/train/good/0.png"});
  DataSection section = data.section("folder");
  EXPECT_THAT([&] { read_dataset(section); }, refuses("nut/test is named like a split", "such as mvtec"));
  section.root += "/nut";
  EXPECT_THAT([&] { read_dataset(section); }, refuses("nut/test is named like a split", "expected an object"));
  section.root += "/test";
  EXPECT_THAT([&] { read_dataset(section); }, refuses("the classes of one object", "data.objects: [NAME]"));
  section.objects = {{"metal_nut"}};
  EXPECT_EQ(read_dataset(section).samples[0].object_name, "metal nut");
}

TEST(JsonlFormat, RefusesALineNestedDeeperThanAnyStackBears) {
  const DataFolder data;
  data.files({"a.png"});
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  data.file("data.jsonl", R"({"image": "a.png", "object": "gear", "label": )" + deep + "}\n");
  DataSection section = data.section("jsonl");
  section.root += "/data.jsonl";
  EXPECT_THAT([&] { read_dataset(section); }, refuses("line 1", "is nested deeper than 64 levels"));
}

TEST(FolderFormat, RefusesSplitsAndEmptyFolders) {
  const DataFolder data;
  data.files({"a/notes.txt"});
  DataSection section = data.section("folder");
  EXPECT_THAT([&] { read_dataset(section); }, refuses("set", "expected a class good, ok or normal"));
  section.split = "test";
  EXPECT_THAT([&] { read_dataset(section); }, refuses("data.split is test", "expected one of all for"));
}

class Jsonl : public ::testing::Test {
 protected:
  Dataset read(const std::string& text, const std::string& split = "all", bool follow_links = true) {
    data_.file("rows.jsonl", text);
    DataSection section = data_.section("jsonl");
    section.root += "/rows.jsonl";
    section.split = split;
    section.follow_links = follow_links;
    return read_dataset(section);
  }
  DataFolder data_;
};

TEST_F(Jsonl, ReadsOneObjectPerLine) {
  const Dataset dataset = read(
      "\xEF\xBB\xBF{\"image\": \"b/./1.png\", \"object\": \"metal_nut\", \"label\": \"defect\", \"defect_type\": "
      "\"bent\"}\r\n\n"
      "{\"image\": \"a.png\", \"object\": \"nut\", \"label\": 0, \"defect_type\": \"good\", \"other\": [1]}\n"
      "{\"image\": \"b/1.png\", \"object\": \"nut\", \"response\": \"<think>\"}\n"
      "{\"image\": \"c.png\", \"object\": \"nut\", \"label\": null}");
  EXPECT_THAT(images_of(dataset), ElementsAre("a.png", "b/1.png", "b/1.png", "c.png"));
  EXPECT_EQ(dataset.samples[0].label, Verdict::kNormal);
  EXPECT_EQ(dataset.samples[0].defect_type, "");
  EXPECT_EQ(dataset.samples[1].label, Verdict::kDefect);
  EXPECT_EQ(dataset.samples[1].defect_type, "bent");
  EXPECT_EQ(dataset.samples[1].object_name, "metal nut");
  EXPECT_EQ(dataset.samples[1].path, fs::canonical(data_.path()) / "b/1.png");
  EXPECT_EQ(dataset.samples[2].id, "b/1.png#2");
  EXPECT_EQ(dataset.samples[2].response, "<think>");
  EXPECT_FALSE(dataset.samples[3].label.has_value());
}

TEST_F(Jsonl, TakesASplitThatTheRowsName) {
  const std::string rows =
      "{\"image\": \"a.png\", \"object\": \"nut\", \"label\": 0, \"split\": \"train\"}\n"
      "{\"image\": \"b.png\", \"object\": \"nut\", \"label\": 1}\n";
  EXPECT_THAT(images_of(read(rows, "train")), ElementsAre("a.png"));
  EXPECT_EQ(read(rows).samples.size(), 2u);
  EXPECT_THAT([&] { read(rows, "test"); }, refuses("data.split is test", "expected one of all, train for"));
}

TEST_F(Jsonl, NamesTheLineOfABadRow) {
  const std::string good = "{\"image\": \"a.png\", \"object\": \"nut\", \"label\": 0}\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"image\": ", "is not valid JSON"},
      {"[1]", "is not a JSON object"},
      {std::string(50000, '['), "is nested deeper"},
      {"{\"image\": \"\xFF\", \"object\": \"nut\", \"label\": 0}", "is not valid JSON"},
      {R"({"image": "a.png", "image": "b.png", "object": "nut", "label": 0})", "has the key \"image\" twice"},
      {R"({"object": "nut", "label": 0})", "no image"},
      {R"({"image": 3, "object": "nut", "label": 0})", "image is number"},
      {R"({"image": "a.png", "object": "", "label": 0})", "no object"},
      {R"({"image": "a.png", "object": "nut"})", "no label"},
      {R"({"image": "a.png", "object": "nut", "label": "good"})", "label is \"good\", expected defect, normal"},
      {R"({"image": "a.png", "object": "nut", "label": 2})", "label is 2"},
      {R"({"image": "a\u0000.png", "object": "nut", "label": 1})", "holds a zero byte"}};
  for (const auto& [row, words] : cases) EXPECT_THAT([&] { read(good + row); }, refuses("rows.jsonl line 2: ", words));
}

TEST_F(Jsonl, ReadsPathsThatLeaveTheFolderUnlessToldNotTo) {
  data_.file("a.png");
  fs::create_directory_symlink("/", data_.path() / "out");
  for (const char* image : {"../a.png", "/etc/a.png", "out/a.png"}) {
    const std::string row = concat(R"({"image": ")", image, R"(", "object": "nut", "label": 1})");
    const Dataset dataset = read(row);
    EXPECT_EQ(dataset.samples[0].image, image);
    EXPECT_EQ(dataset.samples[0].path, dataset.root / image);
    EXPECT_THAT([&] { read(row, "all", /*follow_links=*/false); },
                refuses(concat("line 1: image \"", image, "\" leaves"), "data.follow_links: true"));
  }
}

TEST_F(Jsonl, RefusesAnEmptyFileAndAFolder) {
  EXPECT_THAT([&] { read("\n"); }, refuses("rows.jsonl", "has no lines"));
  DataSection section = data_.section("jsonl");
  EXPECT_THAT([&] { read_dataset(section); }, refuses("is a folder", "expected a file"));
  section.root += "/none.jsonl";
  EXPECT_THAT([&] { read_dataset(section); }, refuses("none.jsonl", "No such file"));
}

TEST(ReadImages, TakesFilesAndFoldersOnceAndSorted) {
  const DataFolder data;
  data.files({"b/2.png", "b/deep/1.JPG", "b/.x/0.png", "b/notes.txt", "a.png"});
  const std::string root = fs::canonical(data.path()).string();
  const Dataset dataset = read_images({root + "/b", root + "/a.png", root + "/b/2.png"}, "metal_nut");
  EXPECT_THAT(images_of(dataset), ElementsAre(root + "/a.png", root + "/b/2.png", root + "/b/deep/1.JPG"));
  EXPECT_EQ(dataset.samples[0].path.string(), dataset.samples[0].image);
  EXPECT_EQ(dataset.samples[0].object_name, "metal nut");
  EXPECT_FALSE(dataset.samples[0].label.has_value());
}

TEST(ReadImages, PassesOverTheReportOfAnEvaluation) {
  const DataFolder data;
  data.files({"a.png", "report/b.png", "eval/predictions.jsonl", "eval/report/images/a.png"});
  const std::string root = fs::canonical(data.path()).string();
  EXPECT_THAT(images_of(read_images({root}, "part")), ElementsAre(root + "/a.png", root + "/report/b.png"));
}

TEST(ReadImages, RefusesMissingPathsEmptyFoldersAndLinksBack) {
  const DataFolder data;
  data.files({"b/2.png", "empty/notes.txt"});
  const std::string root = data.path().string();
  EXPECT_THAT([&] { read_images({root + "/none.png"}, "part"); }, refuses("none.png", "No such file"));
  EXPECT_THAT([&] { read_images({root + "/empty"}, "part"); }, refuses("/empty", "has no images"));
  EXPECT_THAT([&] { read_images({}, "part"); }, refuses("no images", ""));
  fs::create_directory_symlink("..", data.path() / "b/up");
  EXPECT_THAT([&] { read_images({root}, "part"); }, refuses("b/up", "is a link back"));
}

}  // namespace
}  // namespace lriad

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_folder.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Visa : public ::testing::Test {
 protected:
  Visa() : section_(data_.section("visa")) {
    data_.files({"candle/Data/Images/Normal/0000.JPG", "candle/Data/Images/Normal/0001.JPG",
                 "candle/Data/Images/Anomaly/000.JPG", "candle/Data/Images/Anomaly/001.JPG",
                 "candle/Data/Masks/Anomaly/000.png", "pcb1/Data/Images/Normal/000.JPG",
                 "pcb1/Data/Images/Anomaly/000.JPG"});
    write_table("1cls", {"candle,train,normal,candle/Data/Images/Normal/0000.JPG,",
                         "candle,test,normal,candle/Data/Images/Normal/0001.JPG,",
                         "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png",
                         "pcb1,test,anomaly,pcb1/Data/Images/Anomaly/000.JPG,pcb1/Data/Masks/Anomaly/000.png"});
    write_table("2cls_highshot", {"candle,train,anomaly,candle/Data/Images/Anomaly/001.JPG,x"});
    data_.file("candle/image_anno.csv",
               "image,label,mask\r\ncandle/Data/Images/Normal/0000.JPG,normal,\r\n"
               "candle/Data/Images/Anomaly/000.JPG,\"melt, scratch\",m.png\r\n");
  }
  void write_table(const std::string& name, const std::vector<std::string>& rows) {
    std::string text = "object,split,label,image,mask\r\n";
    for (const std::string& row : rows) text += row + "\r\n";
    data_.file("split_csv/" + name + ".csv", text);
  }
  Dataset read() const { return read_dataset(section_); }
  auto refuses(const std::string& a, const std::string& b) const {
    return ThrowsMessage<Error>(AllOf(HasSubstr("[data] "), HasSubstr(a), HasSubstr(b)));
  }

  DataFolder data_;
  DataSection section_;
};

TEST_F(Visa, ReadsBothFoldersWithoutATable) {
  std::filesystem::remove_all(data_.path() / "split_csv");
  const Dataset dataset = read();
  EXPECT_EQ(dataset.samples.size(), 6u);
  EXPECT_EQ(dataset.count(Verdict::kDefect, "candle"), 2);
  EXPECT_EQ(dataset.samples[0].image, "candle/Data/Images/Anomaly/000.JPG");
  EXPECT_EQ(dataset.samples[0].defect_type, "melt, scratch");
  EXPECT_EQ(dataset.samples[1].defect_type, "anomaly");
  EXPECT_EQ(dataset.samples[2].defect_type, "");
  EXPECT_EQ(dataset.samples[0].mask, dataset.root / "candle/Data/Masks/Anomaly/000.png");
  EXPECT_TRUE(dataset.samples[1].mask.empty());
}

TEST_F(Visa, TakesASplitFromItsTable) {
  section_.split = "test";
  EXPECT_THAT(images_of(read()), ElementsAre("candle/Data/Images/Anomaly/000.JPG", "candle/Data/Images/Normal/0001.JPG",
                                             "pcb1/Data/Images/Anomaly/000.JPG"));
  section_.split = "2cls_highshot/train";
  EXPECT_THAT(images_of(read()), ElementsAre("candle/Data/Images/Anomaly/001.JPG"));
  section_.split = "train";
  section_.objects = {{"pcb1"}};
  EXPECT_THAT([&] { read(); }, refuses("no images of split train", "wanted objects"));
}

TEST_F(Visa, RefusesUnknownSplitsAndTables) {
  for (const char* split : {"trian", "../1cls/train", "/train", "1cls/all", "a/b/train"}) {
    section_.split = split;
    EXPECT_THAT([&] { read(); }, refuses("data.split is ", split));
  }
  section_.split = "3cls/train";
  EXPECT_THAT([&] { read(); }, refuses("3cls.csv", "cannot read"));
}

TEST_F(Visa, RefusesTablesThatDoNotFitTheFolders) {
  section_.split = "test";
  write_table("1cls", {"candle,test,normal,../candle/Data/Images/Normal/0001.JPG,"});
  EXPECT_THAT([&] { read(); }, refuses("1cls.csv line 2", "is no image of the data set"));
  write_table("1cls", {"candle,test,anomaly,candle/Data/Images/Normal/0001.JPG,"});
  EXPECT_THAT([&] { read(); }, refuses("line 2", "not by its folder"));
  write_table("1cls", {"candle,test,bad,candle/Data/Images/Normal/0001.JPG,"});
  EXPECT_THAT([&] { read(); }, refuses("label is bad", "expected normal or anomaly"));
  write_table("1cls", {"candle,test"});
  EXPECT_THAT([&] { read(); }, refuses("line 2", "2 fields, expected 5"));
  data_.file("split_csv/1cls.csv", "object,label\n");
  EXPECT_THAT([&] { read(); }, refuses("1cls.csv", "no column split"));
  data_.file("split_csv/1cls.csv", "");
  EXPECT_THAT([&] { read(); }, refuses("1cls.csv", "is empty"));
}

TEST_F(Visa, RefusesAnotherLayout) {
  section_.root = (data_.path() / "candle").string();
  EXPECT_THAT([&] { read(); }, refuses("candle", "expected the layout of VisA"));
}

}  // namespace
}  // namespace lriad

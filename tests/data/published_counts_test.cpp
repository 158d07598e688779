#include "lriad/data/published_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_folder.h"
#include "data/published_sets.h"

namespace lriad {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

DataSection section_of(const std::string& format, const std::string& split, const std::string& root = "data") {
  DataSection section;
  section.format = format;
  section.split = split;
  section.root = root;
  return section;
}

int64_t total(const PublishedCounts& published, int64_t ObjectCounts::*part) {
  int64_t sum = 0;
  for (const auto& [name, counts] : published.objects) sum += counts.*part;
  return sum;
}

// Totals as they are published apart from the counts by object: MVTec-AD 4096 normal and 1258 defect images, VisA 9621
// and 1200, MVTec LOCO 993 anomalous, MPDD 888 training images, test 176 and 282, BTAD 2540 in all.
TEST(PublishedCounts, AddUpToThePublishedTotals) {
  const auto counts = [](const DataSection& section, const std::string& object) {
    return published_counts(section, {{object, {}}}).value();
  };
  const PublishedCounts mvtec = counts(section_of("mvtec", "all"), "pill");
  EXPECT_EQ(mvtec.set, "MVTec-AD");
  EXPECT_EQ(total(mvtec, &ObjectCounts::normal), 4096);
  EXPECT_EQ(total(mvtec, &ObjectCounts::defect), 1258);
  const PublishedCounts visa = counts(section_of("visa", "all"), "pcb4");
  EXPECT_EQ(total(visa, &ObjectCounts::normal), 9621);
  EXPECT_EQ(total(visa, &ObjectCounts::defect), 1200);
  const PublishedCounts loco = counts(section_of("loco", "all"), "pushpins");
  EXPECT_EQ(total(loco, &ObjectCounts::defect), 993);
  EXPECT_EQ(total(counts(section_of("mpdd", "train"), "tubes"), &ObjectCounts::normal), 888);
  EXPECT_EQ(total(counts(section_of("mpdd", "test"), "tubes"), &ObjectCounts::normal), 176);
  EXPECT_EQ(total(counts(section_of("mpdd", "test"), "tubes"), &ObjectCounts::defect), 282);
  const PublishedCounts btad = counts(section_of("btad", "all"), "02");
  EXPECT_EQ(total(btad, &ObjectCounts::normal) + total(btad, &ObjectCounts::defect), 2540);
}

TEST(PublishedCounts, DefectTypesAddUpToTheirObjects) {
  for (const PublishedSet& set : published_sets()) {
    for (const PublishedObject& object : set.objects) {
      int64_t types = 0;
      for (const auto& [type, count] : object.defect_types) types += count;
      if (types > 0) {
        EXPECT_EQ(types, object.train_defect + object.test_defect) << object.name;
      }
    }
  }
}

TEST(PublishedCounts, TellVariantsApart) {
  const auto set_of = [](const DataSection& section) { return published_counts(section, {{"candle", {}}})->set; };
  EXPECT_EQ(set_of(section_of("visa", "test")), "VisA");
  EXPECT_EQ(set_of(section_of("visa", "2cls_highshot/test")), "VisA 2cls_highshot");
  EXPECT_EQ(set_of(section_of("visa", "all", "visa_pytorch/2cls_fewshot/")), "VisA 2cls_fewshot");
  const PublishedCounts train = published_counts(section_of("visa", "2cls_highshot/train"), {{"candle", {}}}).value();
  EXPECT_EQ(total(train, &ObjectCounts::defect), 720);
  EXPECT_FALSE(published_counts(section_of("mvtec", "all"), {{"gear", {}}}));
  EXPECT_FALSE(published_counts(section_of("mvtec", "all"), {{"Woven_001", {}}})) << "its training images are unknown";
}

TEST(PublishedCounts, SayWhatDoesNotAgree) {
  const DataFolder data;
  data.files({"toothbrush/train/good/0.png", "toothbrush/test/defective/0.png", "gear/test/good/0.png"});
  DataSection section = data.section("mvtec");
  auto counts = count_objects(read_dataset(section));
  const PublishedCounts published = published_counts(section, counts).value();
  const auto found = count_differences(section, counts, published);
  EXPECT_THAT(found, Contains("toothbrush, normal: 1, published 72"));
  EXPECT_THAT(found, Contains("toothbrush, defective: 1, published 30"));
  EXPECT_THAT(found, Contains("bottle: missing"));
  EXPECT_THAT(found, Contains("gear: not an object of MVTec-AD"));
  section.objects = {{"toothbrush"}};
  counts = {{"toothbrush", {72, 30, 0, {{"defective", 30}}}}};
  EXPECT_THAT(count_differences(section, counts, published), IsEmpty());
}

}  // namespace
}  // namespace lriad

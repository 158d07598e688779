#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_folder.h"
#include "lriad/core/error.h"
#include "lriad/data/mask.h"

// Public data sets as generated trees with a few images each, and what their layouts hold in store.
namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

auto refuses(const std::string& a, const std::string& b = "") {
  return ThrowsMessage<Error>(AllOf(HasSubstr("[data] "), HasSubstr(a), HasSubstr(b)));
}

class Formats : public ::testing::Test {
 protected:
  Dataset read(const std::string& format, const std::string& split = "all", const std::string& below = "") const {
    DataSection section = data_.section(format);
    section.split = split;
    section.root += below;
    return read_dataset(section);
  }
  /// "defect <type>" or "normal" or "-" of each sample, in order.
  static std::vector<std::string> labels(const Dataset& dataset) {
    std::vector<std::string> found;
    for (const Sample& sample : dataset.samples) {
      found.push_back(!sample.label                       ? "-"
                      : *sample.label == Verdict::kNormal ? "normal"
                                                          : "defect " + sample.defect_type);
    }
    return found;
  }
  void image(const std::string& path, uint8_t value) const {
    data_.file(path, encode_png({4, 4, std::vector<uint8_t>(48, value)}));
  }
  DataFolder data_;
};

TEST_F(Formats, LocoHasAValidationSplitAndSeveralMasksPerImage) {
  data_.files({"pushpins/train/good/000.png", "pushpins/validation/good/000.png", "pushpins/test/good/000.png",
               "pushpins/test/logical_anomalies/000.png", "pushpins/test/structural_anomalies/000.png",
               "pushpins/ground_truth/logical_anomalies/000/000.png",
               "pushpins/ground_truth/logical_anomalies/000/001.png", "pushpins/defects_config.json"});
  EXPECT_THAT(labels(read("loco")),
              ElementsAre("normal", "defect logical_anomalies", "defect structural_anomalies", "normal", "normal"));
  EXPECT_EQ(read("loco", "validation").samples.size(), 1u);
  EXPECT_EQ(read("loco").samples[1].mask.filename(), "000");
  EXPECT_TRUE(read("loco").samples[2].mask.empty());
  EXPECT_EQ(read("mvtec").samples.size(), 4u);
  EXPECT_THAT([&] { read("loco", "val"); },
              refuses("data.split is val", "expected one of all, test, train, validation for"));
}

TEST_F(Formats, MasksOfOneImageAreReadAsOne) {
  const auto mask = [&](const std::string& path, const std::vector<uint8_t>& levels, int64_t width = 3) {
    fs::create_directories((data_.path() / path).parent_path());
    write_gray_png(data_.path() / path, {1, width, levels});
  };
  mask("masks/0.png", {0, 200, 0});
  mask("masks/1.png", {1, 0, 0});
  EXPECT_THAT(read_mask(data_.path() / "masks").defect, ElementsAre(true, true, false));
  EXPECT_THAT(read_mask(data_.path() / "masks/1.png").defect, ElementsAre(true, false, false));
  mask("masks/2.png", {0, 0}, 2);
  EXPECT_THAT([&] { read_mask(data_.path() / "masks"); }, refuses("2.png is 2 x 1", "expected 3 x 1"));
  fs::create_directories(data_.path() / "none");
  EXPECT_THAT([&] { read_mask(data_.path() / "none"); }, refuses("none has no images", "masks"));
}

TEST_F(Formats, BtadMixesExtensionsAndSaysOkAndKo) {
  data_.files({"01/train/ok/0001.bmp", "01/test/ok/0000.bmp", "01/test/ko/0000.bmp", "01/ground_truth/ko/0000.png",
               "03/train/ok/0001.png", "03/test/ko/0000.png"});
  EXPECT_THAT(labels(read("btad")), ElementsAre("defect ko", "normal", "normal", "defect ko", "normal"));
}

TEST_F(Formats, MpddAndDtdSyntheticAreReadAsMvtecIs) {
  data_.files({"tubes/train/good/0.png", "tubes/test/anomalous/0.png", "Woven_001/train/good/0.png",
               "Woven_001/test/good/0.png", "Woven_001/test/bad/0.png"});
  for (const char* format : {"mpdd", "dtd_synthetic"}) {
    EXPECT_THAT(labels(read(format)), ElementsAre("defect bad", "normal", "normal", "defect anomalous", "normal"));
  }
}

TEST_F(Formats, MvtecAd2HasPublicAndPrivateTestSets) {
  data_.files({"can/train/good/000_regular.png", "can/validation/good/000_regular.png",
               "can/test_public/good/000_regular.png", "can/test_public/bad/000_regular.png",
               "can/test_public/bad/000_overexposed.png", "can/test_public/ground_truth/bad/000_regular_mask.png",
               "can/test_private/000_regular.png", "can/test_private_mixed/000_mixed.png"});
  const Dataset all = read("mvtec_ad2");
  EXPECT_THAT(labels(all), ElementsAre("defect bad", "defect bad", "normal", "normal", "normal"));
  EXPECT_THAT(all.left_out, ElementsAre("can/test_private", "can/test_private_mixed"));
  EXPECT_EQ(read("mvtec_ad2", "test").samples.size(), 3u);
  EXPECT_THAT(labels(read("mvtec_ad2", "test_private_mixed")), ElementsAre("-"));
  EXPECT_THAT([&] { read("mvtec"); }, refuses("can/test_p", "does not read; give the data.format of this layout"));
}

TEST_F(Formats, VisaIsReadInTheCopiesOfItsScriptToo) {
  data_.files({"2cls_fewshot/candle/train/good/0000.JPG", "2cls_fewshot/candle/train/bad/000.JPG",
               "2cls_fewshot/candle/test/good/0001.JPG", "2cls_fewshot/candle/test/bad/001.JPG",
               "2cls_fewshot/candle/ground_truth/train/bad/000.png",
               "2cls_fewshot/candle/ground_truth/test/bad/001.png", "1cls/candle/train/good/0000.JPG"});
  EXPECT_THAT(labels(read("visa", "all", "/2cls_fewshot")),
              ElementsAre("defect bad", "normal", "defect bad", "normal"));
  EXPECT_EQ(read("visa", "train", "/2cls_fewshot").samples.size(), 2u);
  EXPECT_THAT([&] { read("visa"); }, refuses("holds copies of VisA by split", "/1cls"));
}

class RealIad : public Formats {
 protected:
  RealIad() {
    data_.files({"realiad_256/usb/OK/S0001/usb_0001_OK_C1.jpg", "realiad_256/usb/NG/AK/S0002/usb_0002_AK_C1.jpg",
                 "realiad_256/usb/NG/AK/S0002/usb_0002_AK_C1_mask.png"});
    list("realiad_jsons/realiad_jsons/usb.json", "OK/S0001/usb_0001_OK_C1.jpg");
  }
  void list(const std::string& path, const std::string& normal) const {
    data_.file(
        path, R"({"meta": {"prefix": "usb/", "normal_class": "OK"}, "train": [{"category": "usb", "anomaly_class": "OK",
      "image_path": ")" +
                  normal + R"(", "mask_path": null}], "test": [{"category": "usb", "anomaly_class": "AK",
      "image_path": "NG/AK/S0002/usb_0002_AK_C1.jpg", "mask_path": "NG/AK/S0002/usb_0002_AK_C1_mask.png"}]})");
  }
};

TEST_F(RealIad, ReadsListsBesideTheImagesOrOneFolderDeeper) {
  const Dataset dataset = read("real_iad");
  EXPECT_THAT(images_of(dataset), ElementsAre("usb/NG/AK/S0002/usb_0002_AK_C1.jpg", "usb/OK/S0001/usb_0001_OK_C1.jpg"));
  EXPECT_THAT(labels(dataset), ElementsAre("defect AK", "normal"));
  EXPECT_TRUE(std::filesystem::exists(dataset.samples[0].path));
  EXPECT_EQ(read("real_iad", "train").samples.size(), 1u);
  EXPECT_EQ(read("real_iad", "test", "/realiad_256").samples.size(), 1u);
  list("realiad_jsons_sv/usb.json", "OK/S0001/usb_0001_OK_C1.jpg");
  EXPECT_EQ(read("real_iad", "sv/all").samples.size(), 2u);
}

TEST_F(RealIad, RefusesPathsThatClimbAndUnclearFolders) {
  for (const char* path : {"../OK/0.jpg", "/etc/0.jpg", "OK/../../0.jpg"}) {
    list("realiad_jsons/realiad_jsons/usb.json", path);
    EXPECT_THAT([&] { read("real_iad"); }, refuses("usb.json train record 1", "leaves the folder of the object"));
  }
  EXPECT_THAT([&] { read("real_iad", "fuiad_0.4/test"); }, refuses("realiad_jsons_fuiad_0.4", "has no lists"));
  EXPECT_THAT([&] { read("real_iad", "validation"); }, refuses("data.split is validation", "sv/test"));
  data_.files({"realiad_1024/usb/OK/S0001/usb_0001_OK_C1.jpg"});
  EXPECT_THAT([&] { read("real_iad"); }, refuses("several sizes, realiad_1024, realiad_256"));
}

TEST_F(Formats, DagmTellsDefectsByTheirMasks) {
  data_.files({"Class1/Train/0001.PNG", "Class1/Train/0002.PNG", "Class1/Train/Label/0002_label.PNG",
               "Class1/Train/Label/Labels.txt", "Class1/Test/0003.PNG", "Class1/Test/Label/Labels.txt"});
  EXPECT_THAT(labels(read("dagm")), ElementsAre("normal", "normal", "defect defect"));
  EXPECT_EQ(read("dagm", "test").samples.size(), 1u);
  EXPECT_EQ(read("dagm").samples[2].mask.filename(), "0002_label.PNG");
  EXPECT_THAT([&] { read("folder"); }, refuses("Class1/Test is named like a split"));
  data_.file("Class1/Test/Label/0009_label.PNG");
  EXPECT_THAT([&] { read("dagm"); }, refuses("has the masks of 0009 in Label", "no such images"));
  data_.file("Class2/Train/0001.PNG");
  EXPECT_THAT([&] { read("dagm", "train"); }, refuses("Class2/Train has no folder Label"));
}

TEST_F(Formats, KolektorSetsTellDefectsByMasksThatAreNotBlack) {
  image("train/10000.png", 90);
  image("train/10000_GT.png", 0);
  image("test/20000.png", 90);
  image("test/20000_GT.png", 255);
  EXPECT_THAT(labels(read("kolektor_sdd2")), ElementsAre("defect defect", "normal"));
  EXPECT_EQ(read("kolektor_sdd2", "train").samples.size(), 1u);
  EXPECT_EQ(read("kolektor_sdd2").samples[0].mask.filename(), "20000_GT.png");
  image("test/20001.png", 90);
  EXPECT_THAT([&] { read("kolektor_sdd2"); }, refuses("20001.png has no mask 20001_GT.png beside it"));
  image("sdd/kos01/Part0.jpg", 90);
  image("sdd/kos01/Part0_label.bmp", 0);
  image("sdd/kos02/Part3.jpg", 90);
  image("sdd/kos02/Part3_label.bmp", 1);
  EXPECT_THAT(labels(read("kolektor_sdd", "all", "/sdd")), ElementsAre("normal", "defect defect"));
}

TEST_F(Formats, MetaJsonIsReadInBothForms) {
  data_.files({"nut/test/good/0.png", "nut/test/bent/0.png", "nut/train/good/0.png"});
  data_.file("meta.json", R"({"train": {"nut": [{"img_path": "nut/train/good/0.png", "mask_path": "", "cls_name": "nut",
    "specie_name": "good", "anomaly": 0}]}, "test": {"nut": [{"img_path": "nut/test/bent/0.png", "mask_path": "x",
    "cls_name": "nut", "specie_name": "bent", "anomaly": 1}]}})");
  EXPECT_THAT(labels(read("meta_json")), ElementsAre("defect bent", "normal"));
  EXPECT_EQ(read("meta_json", "train").samples.size(), 1u);
  EXPECT_THAT([&] { read("meta_json", "val"); }, refuses("data.split is val", "expected one of all, test, train for"));
  // As UniAD keeps them: an object a line, images in a folder beside the files.
  data_.files({"uniad/images/nut/test/bent/0.png", "uniad/images/nut/train/good/0.png"});
  data_.file(
      "uniad/train.json",
      "{\"filename\": \"nut/train/good/0.png\", \"label\": 0, \"label_name\": \"good\", \"clsname\": \"nut\"}\n");
  data_.file(
      "uniad/test.json",
      "{\"filename\": \"nut/test/bent/0.png\", \"label\": 1, \"label_name\": \"defective\", \"clsname\": \"nut\", "
      "\"maskname\": \"m.png\"}\n");
  const Dataset uniad = read("meta_json", "all", "/uniad");
  EXPECT_THAT(labels(uniad), ElementsAre("defect defective", "normal"));
  EXPECT_TRUE(std::filesystem::exists(uniad.samples[0].path));
  EXPECT_EQ(read("meta_json", "test", "/uniad").samples.size(), 1u);
}

TEST_F(Formats, MetaJsonNamesTheRecordThatIsWrong) {
  data_.file("nut/0.png");
  const auto refused = [&](const std::string& record, const std::string& words) {
    data_.file("meta.json", R"({"test": {"nut": [)" + record + "]}}");
    EXPECT_THAT([&] { read("meta_json"); }, refuses("meta.json test, nut, record 1: ", words));
  };
  refused(R"({"cls_name": "nut", "anomaly": 0})", "no img_path");
  refused(R"({"img_path": "nut/0.png", "cls_name": "nut", "anomaly": "0"})", "anomaly is \"0\", expected 0 (normal)");
  refused(R"({"img_path": "nut/0.png", "cls_name": "nut", "specie_name": "good", "anomaly": 1})",
          "anomaly is 1, but specie_name is good");
  refused("[]", "is not a JSON object");
  data_.file("meta.json", R"({"test": {"nut": [{"img_path": "nut/9.png", "cls_name": "nut", "anomaly": 0}]}})");
  EXPECT_THAT([&] { read("meta_json"); }, refuses("nut/9.png is neither below"));
}

class Mmad : public Formats {
 protected:
  static std::string item(const std::string& image, const std::string& answer,
                          const std::string& type = "Anomaly Detection") {
    return "\"" + image + R"(": {"mask_path": "m", "conversation": [{"Question": "Is there any defect in the object?",
      "Options": {"A": "No.", "B": "Yes."}, "Answer": ")" +
           answer + R"(", "type": ")" + type + "\"}]}";
  }
};

TEST_F(Mmad, TakesTheTextOfTheChosenOption) {
  data_.files(
      {"DS-MVTec/pill/image/good/000.png", "DS-MVTec/pill/image/crack/000.png", "MVTec-LOCO/pushpins/test/good/1.png"});
  data_.file("mmad.json", "{" + item("DS-MVTec/pill/image/good/000.png", "A") + "," +
                              item("DS-MVTec/pill/image/crack/000.png", "B") + "," +
                              item("MVTec-LOCO/pushpins/test/good/1.png", "A") + "," +
                              item("DS-MVTec/pill/image/crack/001.png", "B", "Defect Classification") + "}");
  const Dataset dataset = read("mmad");
  EXPECT_THAT(labels(dataset), ElementsAre("defect crack", "normal", "normal"));
  EXPECT_EQ(dataset.samples[0].object, "pill");
  EXPECT_EQ(dataset.samples[2].object, "pushpins");
  EXPECT_EQ(read("mmad", "all", "/mmad.json").samples.size(), 3u);
}

TEST_F(Mmad, RefusesAnswersThatSayNeitherYesNorNo) {
  data_.file("a/b/good/0.png");
  data_.file("mmad.json", "{" + item("a/b/good/0.png", "C") + "}");
  EXPECT_THAT([&] { read("mmad"); }, refuses("mmad.json a/b/good/0.png: Answer is \"C\""));
  data_.file("mmad.json", R"({"a/b/good/0.png": {"conversation": {}}})");
  EXPECT_THAT([&] { read("mmad"); }, refuses("has no list conversation"));
}

TEST_F(Formats, IadR1TakesYesAndNoOrTheTextOfTheLettersOption) {
  data_.files({"MVTec/pill/test/good/0.png", "MVTec/pill/test/crack/1.png", "MVTec/pill/test/crack/2.png",
               "MVTec/pill/test/crack/3.png", "MVTec/pill/test/good/4.png"});
  data_.file("rows.json", R"([
    {"id": 0, "image": "MVTec/pill/test/good/0.png", "problem": "Are there any defects in the query image?",
     "solution": "<answer>No</answer>"},
    {"id": 1, "images": ["MVTec/pill/test/good/0.png", "MVTec/pill/test/crack/1.png"], "messages": [
      {"role": "user", "content": "<image><image>\nIs there a defect?\nA. No\nB. Yes"},
      {"role": "assistant", "content": "<think>x</think><answer>B</answer>"}]},
    {"id": 2, "image": "MVTec/pill/test/crack/2.png", "problem": "Is there a defect?\nOptions: (A) defect (B) normal.",
     "solution": "<answer> A </answer>"},
    {"id": 3, "image": "MVTec/pill/test/crack/3.png", "problem": "?", "solution": "<location>a</location><answer>Yes</answer>"},
    {"id": 4, "image": "MVTec/pill/test/good/4.png", "conversations": [
      {"from": "human", "value": "<image>Defects?\nA: Yes.\nB: No."}, {"from": "gpt", "value": "B"}]}])");
  const Dataset dataset = read("iad_r1", "all", "/rows.json");
  EXPECT_THAT(images_of(dataset),
              ElementsAre("MVTec/pill/test/crack/1.png", "MVTec/pill/test/crack/2.png", "MVTec/pill/test/crack/3.png",
                          "MVTec/pill/test/good/0.png", "MVTec/pill/test/good/4.png"));
  EXPECT_THAT(labels(dataset), ElementsAre("defect ", "defect ", "defect ", "normal", "normal"));
  EXPECT_EQ(dataset.samples[0].object, "pill");
}

TEST_F(Formats, IadR1NamesTheRecordWhoseAnswerIsUnclear) {
  data_.file("a/pill/good/0.png");
  const auto refused = [&](const std::string& rest, const std::string& words) {
    data_.file("rows.jsonl", R"({"image": "a/pill/good/0.png", "problem": "Is it whole? A. Maybe)" + rest + "}\n");
    EXPECT_THAT([&] { read("iad_r1", "all", "/rows.jsonl"); }, refuses("rows.jsonl line 1: ", words));
  };
  refused(R"(", "solution": "<answer>A</answer>")", "has no such option that says Yes or No");
  refused(R"(", "solution": "<answer>perhaps</answer>")", "expected Yes, No or the letter");
  refused(R"(")", "no solution");
}

}  // namespace
}  // namespace lriad

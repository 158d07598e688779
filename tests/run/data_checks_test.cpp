#include "run/data_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_folder.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

auto refuses(const std::string& a, const std::string& b) {
  return ThrowsMessage<Error>(AllOf(HasSubstr("[data] "), HasSubstr(a), HasSubstr(b)));
}

class DataChecks : public ::testing::Test {
 protected:
  Dataset read(const std::string& format, const std::string& below = "") {
    config_.data = data_.section(format);
    config_.data.root += below;
    return read_dataset(config_.data);
  }
  static SamplePreparer preparer() {
    PromptSection prompt;
    return {Tokenizer::load(std::filesystem::path(LRIAD_GOLDEN_DIR) / "sentencepiece"), prompt, {}};
  }
  DataFolder data_;
  Config config_;
};

TEST_F(DataChecks, OneClassIsRefusedWhereBothAreWeighed) {
  data_.files({"nut/train/good/0.png", "nut/test/good/1.png"});
  const Dataset data = read("mvtec");
  EXPECT_NO_THROW(check_labels(config_, data));
  config_.data.sampler = SamplerKind::kClassBalanced;
  EXPECT_THAT([&] { check_labels(config_, data); },
              refuses("2 normal images and 0 defects", "class_balanced needs both"));
  config_.data.sampler = SamplerKind::kShuffle;
  for (const FocalF mode : {FocalF::kDataset, FocalF::kSqrtDataset, FocalF::kObject, FocalF::kRunningRecall}) {
    config_.reward.focal.f_mode = mode;
    EXPECT_THAT([&] { check_labels(config_, data); }, refuses("0 defects", "set reward.focal.f_mode: fixed"));
  }
  config_.reward.answer = AnswerReward::kAccuracy;
  EXPECT_NO_THROW(check_labels(config_, data));
}

TEST_F(DataChecks, DataWithoutAnImageThatCanBeReadAreRefused) {
  data_.files({"nut/train/good/0.png", "nut/train/good/1.png"});
  EXPECT_THAT([&] { check_one_image_is_readable(read("mvtec"), preparer()); },
              refuses("none of 2 images can be read, the first: ", "0.png"));
  data_.image("nut/test/good/9.png", 56, 56);
  EXPECT_NO_THROW(check_one_image_is_readable(read("mvtec"), preparer()));
}

TEST_F(DataChecks, TargetsWithImageTokensAreRefused) {
  config_.stage = Stage::kSft;
  data_.file("rows.jsonl",
             R"({"image": "a.png", "object": "nut", "label": 1, "response": "<|image_pad|> <answer>A</answer>"})");
  const Dataset data = read("jsonl", "/rows.jsonl");
  EXPECT_THAT([&] { check_targets(config_, data); }, refuses("a.png", "holds the image token <|image_pad|>"));
}

TEST_F(DataChecks, TargetsThatContradictTheirLabelsAreCounted) {
  const auto row = [](const std::string& label, const std::string& letter) {
    return R"({"image": "a.png", "object": "nut", "label": ")" + label + R"(", "response": "<think>x</think><answer>)" +
           letter + "</answer>\"}\n";
  };
  data_.file("rows.jsonl", row("normal", "A") + row("normal", "B") + row("defect", "B") + row("defect", "A"));
  const Dataset data = read("jsonl", "/rows.jsonl");
  testing::internal::CaptureStderr();
  check_targets(config_, data);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("2 of 4 target texts answer otherwise than their label, the first of a.png"));
}

}  // namespace
}  // namespace lriad

#include "lriad/data/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_folder.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Prepare : public ::testing::Test {
 protected:
  Prepare() : tokenizer_(Tokenizer::load(fs::path(LRIAD_GOLDEN_DIR) / "sentencepiece")) {
    prompt_.template_text = "Is the {object} whole?";
    for (int i = 0; i < 6; ++i) {
      data_.image("metal_nut/test/good/" + std::to_string(i) + ".png", 56, 28 * (i + 2));
    }
    data_.file("metal_nut/test/good/bad.png", "no image");
    dataset_ = read_dataset(data_.section("mvtec"));
  }
  SamplePreparer preparer() const { return {tokenizer_, prompt_, {}}; }

  DataFolder data_;
  Tokenizer tokenizer_;
  PromptSection prompt_;
  Dataset dataset_;
};

TEST_F(Prepare, ExpandsTheImageTokensOfTheImage) {
  const PreparedSample prepared = preparer().prepare(dataset_, 3).sample;
  EXPECT_EQ(prepared.index, 3);
  EXPECT_EQ(prepared.patches.grid, (std::array<int64_t, 3>{1, 4, 10}));
  const std::vector<int64_t> ten = {10};
  EXPECT_EQ(prepared.prompt_ids, encode_chat(tokenizer_, {}, place_images("Is the metal nut whole?", 0), ten));
  EXPECT_EQ(preparer().image_tokens(dataset_.samples[3]), prepared.patches.tokens(/*merge_size=*/2));
}

TEST_F(Prepare, TargetsEndWithOneEndToken) {
  const std::vector<int64_t> ends = {tokenizer_.encode("<|im_end|>").at(0), tokenizer_.encode("<|endoftext|>").at(0)};
  const std::vector<int64_t> plain = target_ids(tokenizer_, "<answer>B</answer>", ends);
  EXPECT_EQ(plain.back(), ends[0]);
  EXPECT_EQ(target_ids(tokenizer_, "<answer>B</answer><|im_end|>", ends), plain);
  EXPECT_EQ(target_ids(tokenizer_, "<answer>B</answer><|im_end|>\n", ends), plain);
  EXPECT_EQ(target_ids(tokenizer_, "<answer>B</answer><|endoftext|>", ends).back(), ends[1]);
  EXPECT_EQ(std::ssize(target_ids(tokenizer_, "a<|im_end|>b", ends)),
            std::ssize(tokenizer_.encode("a<|im_end|>b")) + 1);
}

TEST_F(Prepare, WarnsOfATemplateThatNamesNoObjectOrAnotherWord) {
  const auto said = [&](const std::string& text) {
    prompt_.template_text = text;
    testing::internal::CaptureStderr();
    preparer();
    flush_log();
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said("Is the {object} whole?"), "");
  EXPECT_THAT(said("Is it whole?"), HasSubstr("prompt.template has no {object}"));
  EXPECT_THAT(said("Is the {obj} of {object} whole?"), HasSubstr("holds {obj}, which stays as it is"));
}

TEST_F(Prepare, RefusesLongPromptsByTheHeaderAlone) {
  prompt_.max_prompt_length = static_cast<int64_t>(preparer().prepare(dataset_, 2).sample.prompt_ids.size());
  EXPECT_NO_THROW(preparer().check_prompt(dataset_.samples[2]));
  EXPECT_EQ(preparer().prepare(dataset_, 2).fault, Fault::kNone);
  const auto refusal = AllOf(HasSubstr("[data] metal_nut/test/good/3.png: "), HasSubstr("10 of the image"),
                             HasSubstr("prompt.max_prompt_length"));
  EXPECT_THAT([&] { preparer().check_prompt(dataset_.samples[3]); }, ThrowsMessage<Error>(refusal));
  const PrepareResult refused = preparer().prepare(dataset_, 3);
  EXPECT_EQ(refused.fault, Fault::kPrompt);
  EXPECT_THAT(refused.error, refusal);
  EXPECT_NO_THROW(preparer().check_prompt(dataset_.samples[6]));
  EXPECT_THAT([&] { preparer().image_tokens(dataset_.samples[6]); }, ThrowsMessage<Error>(HasSubstr("bad.png")));
}

TEST_F(Prepare, PrefetchesInTheOrderAskedFor) {
  const SamplePreparer prepares = preparer();
  Prefetcher prefetcher(dataset_, prepares, 3, 2);
  const std::vector<int64_t> order = {5, 0, 6, 3, 3, 1, 4, 2};
  for (const int64_t index : order) prefetcher.request(index);
  for (const int64_t index : order) {
    const PrepareResult result = prefetcher.next();
    EXPECT_EQ(result.sample.index, index);
    EXPECT_EQ(result.fault, index == 6 ? Fault::kImage : Fault::kNone);
    EXPECT_EQ(result.error.empty(), index != 6);
    if (index != 6) {
      EXPECT_EQ(result.sample.patches.grid[2], 2 * (index + 2));
    }
  }
  EXPECT_THROW(prefetcher.next(), std::logic_error);
  prefetcher.request(1);
  EXPECT_EQ(prefetcher.next().sample.index, 1);
}

TEST_F(Prepare, TellsAPromptTooLongFromABadImage) {
  prompt_.max_prompt_length = 5;
  const SamplePreparer prepares = preparer();
  Prefetcher prefetcher(dataset_, prepares, 2, 4);
  prefetcher.request(0);
  prefetcher.request(6);
  const PrepareResult too_long = prefetcher.next();
  EXPECT_EQ(too_long.fault, Fault::kPrompt);
  EXPECT_THAT(too_long.error, HasSubstr("max_prompt_length"));
  const PrepareResult bad = prefetcher.next();
  EXPECT_EQ(bad.fault, Fault::kImage);
  EXPECT_THAT(bad.error, HasSubstr("bad.png"));
}

TEST_F(Prepare, StopsWithRequestsLeft) {
  const SamplePreparer prepares = preparer();
  for (int i = 0; i < 20; ++i) {
    Prefetcher prefetcher(dataset_, prepares, 4, 3);
    for (int64_t request = 0; request < 50; ++request) prefetcher.request(request % 7);
    if (i % 2 == 1) prefetcher.next();
  }
}

TEST_F(Prepare, PassesABugOn) {
  const SamplePreparer prepares = preparer();
  Prefetcher prefetcher(dataset_, prepares, 1, 1);
  prefetcher.request(99);
  EXPECT_THROW(prefetcher.next(), std::out_of_range);
}

}  // namespace
}  // namespace lriad

#include "lriad/data/references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/data_folder.h"
#include "lriad/core/error.h"
#include "lriad/data/prepare.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Two objects with normal images in train and test, and defects.
class ReferencesTest : public ::testing::Test {
 protected:
  ReferencesTest() {
    for (const std::string object : {"nut", "metal_ring"}) {
      for (int i = 0; i < 5; ++i) data_.image(concat(object, "/train/good/", i, ".png"), 56, 28 * (i + 2));
      for (int i = 0; i < 3; ++i) data_.image(concat(object, "/test/good/", i, ".png"), 56, 56);
      data_.image(concat(object, "/test/bent/0.png"), 56, 56);
    }
    section_ = data_.section("mvtec");
    section_.reference.normal = 2;
    dataset_ = read_dataset(section_);
  }

  std::vector<std::string> drawn(const References& references, const Sample& sample, int64_t epoch = 0) const {
    std::vector<std::string> images;
    for (const Sample* image : references.drawn(sample, epoch)) images.push_back(image->image);
    images.resize(static_cast<size_t>(references.count()));
    return images;
  }

  DataFolder data_;
  DataSection section_;
  Dataset dataset_;
};

TEST_F(ReferencesTest, AreNormalImagesOfTheObjectAndNeverTheSampleItself) {
  const auto training = read_references(section_, &dataset_, 42), evaluation = read_references(section_, nullptr, 42);
  for (const Sample& sample : dataset_.samples) {
    for (int64_t epoch = 0; epoch < 20; ++epoch) {
      const auto all = drawn(*training, sample, epoch), train = drawn(*evaluation, sample, epoch);
      for (const auto& images : {all, train}) {
        EXPECT_EQ(std::set<std::string>(images.begin(), images.end()).size(), 2u);
        for (const std::string& image : images) {
          EXPECT_NE(image, sample.image);
          EXPECT_THAT(image, AllOf(HasSubstr(sample.object), HasSubstr("/good/")));
        }
      }
      for (const std::string& image : train) EXPECT_THAT(image, HasSubstr("/train/"));
    }
  }
}

TEST_F(ReferencesTest, DependOnSeedEpochAndSampleAlone) {
  const auto references = read_references(section_, &dataset_, 42), again = read_references(section_, &dataset_, 42);
  const auto other_seed = read_references(section_, &dataset_, 43);
  int other_seeds = 0, other_epochs = 0, other_samples = 0;
  std::set<std::string> seen;
  for (const Sample& sample : dataset_.samples) {
    const auto images = drawn(*references, sample);
    EXPECT_EQ(drawn(*again, sample), images);
    other_seeds += drawn(*other_seed, sample) != images;
    other_epochs += drawn(*references, sample, 1) != images;
    other_samples += drawn(*references, dataset_.samples.front()) != images;
    seen.insert(images.begin(), images.end());
  }
  EXPECT_GE(std::min({other_seeds, other_epochs, other_samples}), 5);
  EXPECT_GE(seen.size(), 10u);
}

TEST_F(ReferencesTest, PassOverTheSampleUnderAnotherName) {
  fs::create_directory_symlink(data_.path(), data_.path().parent_path() / "link");
  Sample sample = dataset_.samples.front();
  sample.path = data_.path().parent_path() / "link" / sample.image;
  const auto references = read_references(section_, &dataset_, 42);
  for (const Sample* image : references->drawn(sample, 0)) EXPECT_NE(image->image, sample.image);
}

TEST_F(ReferencesTest, NameTheObjectThatHasTooFew) {
  section_.reference.normal = 8;
  const auto references = read_references(section_, &dataset_, 42);
  const auto of = [&](const std::string& image) { return *std::ranges::find(dataset_.samples, image, &Sample::image); };
  EXPECT_NO_THROW(references->drawn(of("nut/test/bent/0.png"), 0));
  EXPECT_THAT([&] { references->drawn(of("nut/test/good/0.png"), 0); },
              ThrowsMessage<Error>(AllOf(HasSubstr("object nut"), HasSubstr("needs 8"), HasSubstr("but 7 of"))));
  Sample other;
  other.object = other.object_name = "gear";
  EXPECT_THAT([&] { references->drawn(other, 0); },
              ThrowsMessage<Error>(AllOf(HasSubstr("object gear"), HasSubstr("normal images of: metal_ring, nut"))));
  other.object = other.object_name = "metal ring";  // what prompts call it
  section_.reference.normal = 1;
  EXPECT_THAT(drawn(*read_references(section_, &dataset_, 42), other)[0], HasSubstr("metal_ring/"));
}

TEST_F(ReferencesTest, NeedASplitTrainOrAnotherRoot) {
  DataFolder flat;
  for (int i = 0; i < 3; ++i) flat.image(concat("nut/good/", i, ".png"), 56, 56);
  DataSection section = flat.section("folder");
  EXPECT_EQ(read_references(section, nullptr, 42), nullptr);
  section.reference.normal = 1;
  EXPECT_THAT([&] { read_references(section, nullptr, 42); },
              ThrowsMessage<Error>(AllOf(HasSubstr("data.split is train"), HasSubstr("data.reference.root"))));
  section.reference.root = section.root;
  section.root = "elsewhere";
  EXPECT_THAT(drawn(*read_references(section, nullptr, 42), dataset_.samples.back())[0], HasSubstr("nut/good/"));
}

/// The same with a preparer.
class PreparedReferences : public ReferencesTest {
 protected:
  PreparedReferences() : tokenizer_(Tokenizer::load(fs::path(LRIAD_GOLDEN_DIR) / "sentencepiece")) {
    prompt_.template_text = "Good: {reference} Is the {object} whole?";
    dataset_.references = read_references(section_, &dataset_, 42);
  }
  SamplePreparer preparer() const { return {tokenizer_, prompt_, {}}; }

  Tokenizer tokenizer_;
  PromptSection prompt_;
};

TEST_F(PreparedReferences, StandBeforeTheImageToJudge) {
  const PreparedSample prepared = preparer().prepare(dataset_, 0).sample;
  EXPECT_EQ(prepared.reference_images, drawn(*dataset_.references, dataset_.samples[0]));
  ASSERT_EQ(prepared.images().size(), 3u);
  EXPECT_EQ(prepared.images().back(), &prepared.patches);
  std::vector<int64_t> tokens;
  for (const Patches* image : prepared.images()) tokens.push_back(image->tokens(/*merge_size=*/2));
  EXPECT_EQ(prepared.prompt_ids,
            encode_chat(tokenizer_, {}, place_images("Good: {reference} Is the metal ring whole?", 2), tokens));
  EXPECT_EQ(prepared.grids()[0], process_image(data_.path() / prepared.reference_images[0], {}).grid);
  EXPECT_EQ(preparer().prepare(dataset_, 0, /*epoch=*/3).sample.reference_images,
            drawn(*dataset_.references, dataset_.samples[0], 3));
}

TEST_F(PreparedReferences, AreTakenFromTheNextOnesIfOneCannotBeRead) {
  const Sample& sample = dataset_.samples[0];
  const auto order = dataset_.references->drawn(sample, 0);
  data_.file(order[0]->image, "no image");
  EXPECT_EQ(preparer().prepare(dataset_, 0).sample.reference_images,
            (std::vector<std::string>{order[1]->image, order[2]->image}));
  const SamplePreparer prepares = preparer();
  Prefetcher prefetcher(dataset_, prepares, 2, 4);
  for (const Sample* image : order) data_.file(image->image, "no image");
  prefetcher.request(0);
  const PrepareResult result = prefetcher.next();
  EXPECT_EQ(result.fault, Fault::kPrompt);
  EXPECT_THAT(result.error, AllOf(HasSubstr("object metal_ring"), HasSubstr("but 0 of")));
}

TEST_F(PreparedReferences, CountAsTheLargestOfTheObject) {
  const SamplePreparer prepares = preparer();
  ReferenceTokens most(dataset_, prepares);
  EXPECT_EQ(most.most(dataset_.samples[0]), (std::vector<int64_t>{12, 10}));
  std::ranges::for_each(dataset_.samples, [&](const Sample& sample) { EXPECT_EQ(most.most(sample).size(), 2u); });
  const std::vector<int64_t> tokens = {12, 10, 4};
  prompt_.max_prompt_length = std::ssize(preparer().prompt(dataset_.samples[0], tokens)) - 1;
  EXPECT_THAT(
      [&] { preparer().prompt(dataset_.samples[0], tokens); },
      ThrowsMessage<Error>(AllOf(HasSubstr("4 of the image"), HasSubstr("22 of the largest reference images"))));
}

}  // namespace
}  // namespace lriad

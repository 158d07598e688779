#include "lriad/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/qwen2_tokenizer.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const fs::path& real_tokenizer() {
  static const Qwen2TokenizerFolder folder;
  return folder.path();
}

int64_t checksum(const std::vector<int64_t>& ids) {
  int64_t sum = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) sum = (sum + ids[i] * static_cast<int64_t>(i + 1)) % 2147483647;
  return sum;
}

// Golden: scripts/golden/make_tokenizer.py, tokenizers 0.23.3, seed 7.
class RealTokenizer : public ::testing::Test {
 protected:
  void SetUp() override {
    golden_ = nlohmann::json::parse(read_file("test", fs::path(LRIAD_GOLDEN_DIR) / "tokenizer.json"));
  }

  void expect_golden(const Tokenizer& tokenizer) const {
    const auto texts = golden_["texts"].get<std::vector<std::string>>();
    ASSERT_EQ(texts.size(), 10000u);
    int64_t wrong = 0;
    std::string first;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (checksum(tokenizer.encode(texts[i])) == golden_["checksums"][i].get<int64_t>()) continue;
      if (wrong++ == 0) first = texts[i];
    }
    EXPECT_EQ(wrong, 0) << "first: " << first;
    for (std::size_t i = 0; i < golden_["ids"].size(); ++i) {
      EXPECT_EQ(tokenizer.encode(texts[i]), golden_["ids"][i].get<std::vector<int64_t>>());
    }
  }

  nlohmann::json golden_;
};

TEST_F(RealTokenizer, EncodesTenThousandStringsAsTheTokenizersLibrary) {
  expect_golden(Tokenizer::load(real_tokenizer()));
}

TEST_F(RealTokenizer, EncodesTheSameFromVocabAndMerges) {
  const TempFolder folder;
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    fs::copy_file(real_tokenizer() / name, folder.path() / name);
  }
  expect_golden(Tokenizer::load(folder.path()));
}

TEST_F(RealTokenizer, DecodesAlsoWhenACharacterIsCut) {
  const Tokenizer tokenizer = Tokenizer::load(real_tokenizer());
  for (std::size_t i = 0; i < golden_["ids"].size(); ++i) {
    auto ids = golden_["ids"][i].get<std::vector<int64_t>>();
    ids.erase(ids.begin());
    EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/true), golden_["decoded_from_second"][i].get<std::string>());
    StreamDecoder stream(tokenizer, /*skip_special=*/true);
    std::string joined;
    for (const int64_t id : ids) joined += stream.push(id);
    EXPECT_EQ(joined + stream.finish(), tokenizer.decode(ids, /*skip_special=*/true));
  }
}

TEST_F(RealTokenizer, KnowsItsSpecialTokens) {
  const Tokenizer tokenizer = Tokenizer::load(real_tokenizer());
  EXPECT_EQ(tokenizer.token_id("<|im_end|>"), 151645);
  EXPECT_TRUE(tokenizer.is_special(151655));
  EXPECT_EQ(tokenizer.encode("<|im_end|>"), (std::vector<int64_t>{151645}));
  EXPECT_GT(tokenizer.encode("<|im_end|>", Tokenizer::Special::kAsText).size(), 1u);
  EXPECT_EQ(tokenizer.token_bytes(999999), "");
}

/// The published tokenizer with JSON merge patches; null removes a file.
void write_patched(const fs::path& folder, const nlohmann::json& patches) {
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"}) {
    if (!patches.contains(name)) fs::copy_file(real_tokenizer() / name, folder / name);
  }
  for (const auto& [name, patch] : patches.items()) {
    if (patch.is_null()) continue;
    nlohmann::json file = nlohmann::json::object();
    if (name != "added_tokens.json") file = nlohmann::json::parse(read_file("test", real_tokenizer() / name));
    file.merge_patch(patch);
    write_file_atomic("test", folder / name, file.dump());
  }
}

// Golden: scripts/golden/make_added_tokens.py, transformers 5.23.0.
TEST(AddedTokens, OfEachFileAreThoseOfTransformers) {
  const auto golden = nlohmann::json::parse(read_file("test", fs::path(LRIAD_GOLDEN_DIR) / "added_tokens.json"));
  ASSERT_EQ(golden["cases"].size(), 14u);
  for (const auto& one : golden["cases"]) {
    const TempFolder folder;
    write_patched(folder.path(), one["patches"]);
    const Tokenizer tokenizer = Tokenizer::load(folder.path());
    const auto ids = tokenizer.encode(golden["text"].get<std::string>());
    EXPECT_EQ(nlohmann::json(ids), one["ids"]) << one["name"];
    EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/true), one["decoded"]) << one["name"];
  }
}

TEST(AddedTokens, WithoutAnIdThatTransformersWouldKeepAreRefused) {
  const auto refused = [](const nlohmann::json& patch, const char* why) {
    const TempFolder folder;
    write_patched(folder.path(), {{"tokenizer_config.json", patch}});
    EXPECT_THAT([&] { Tokenizer::load(folder.path()); }, ThrowsMessage<Error>(HasSubstr(why)));
  };
  refused({{"added_tokens_decoder", {{"151700", {{"content", "<think>"}}}}}},
          "added token \"<think>\" has id 151700, expected 151657");
  refused({{"added_tokens_decoder", {{"151650", {{"content", "<think>"}}}}}}, "151650");
  refused({{"extra_special_tokens", {"<think>"}}}, "names the special token \"<think>\"");
}

TEST(TokenizerFiles, PointersOfGitLfsAreNamedAsSuch) {
  constexpr const char* kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n";
  for (const char* name : {"tokenizer.json", "vocab.json", "tokenizer.model"}) {
    const TempFolder folder;
    write_file_atomic("test", folder.path() / name, kPointer);
    EXPECT_THAT(
        [&] { Tokenizer::load(folder.path()); },
        ThrowsMessage<Error>(AllOf(HasSubstr(name), HasSubstr("is a pointer of Git LFS"), HasSubstr("git lfs pull"))));
  }
}

TEST(TokenizerFiles, DamageIsNamed) {
  const TempFolder folder;
  EXPECT_THAT([&] { Tokenizer::load(folder.path()); }, ThrowsMessage<Error>(HasSubstr("has no tokenizer")));
  write_file_atomic("test", folder.path() / "tokenizer.json", "{\"model\": ");
  EXPECT_THAT([&] { Tokenizer::load(folder.path()); }, ThrowsMessage<Error>(HasSubstr("tokenizer.json")));
  write_file_atomic("test", folder.path() / "tokenizer.json", R"({"model": {"type": "Unigram", "vocab": {}}})");
  EXPECT_THAT([&] { Tokenizer::load(folder.path()); }, ThrowsMessage<Error>(HasSubstr("Unigram")));
}

}  // namespace
}  // namespace lriad

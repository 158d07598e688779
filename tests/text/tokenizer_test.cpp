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

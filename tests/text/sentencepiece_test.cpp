#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sentencepiece_trainer.h>

#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const fs::path kFolder = fs::path(LRIAD_GOLDEN_DIR) / "sentencepiece";

// Golden: scripts/golden/make_sentencepiece.py, sentencepiece 0.2.3 and transformers 5.23.0, seed 5.
TEST(SentencePiece, EncodesAndDecodesAsTransformers) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  const json golden = json::parse(read_file("test", kFolder / "expected.json"));
  for (size_t i = 0; i < golden["texts"].size(); ++i) {
    const auto text = golden["texts"][i].get<std::string>();
    const auto ids = golden["ids"][i].get<std::vector<int64_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/false), golden["decoded"][i].get<std::string>());
    EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/true), golden["skipped"][i].get<std::string>());
  }
}

TEST(SentencePiece, KnowsControlAndBytePieces) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  EXPECT_EQ(tokenizer.size(), 420);
  EXPECT_EQ(tokenizer.token_id("<|im_end|>"), 3);
  EXPECT_TRUE(tokenizer.is_special(3));
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(100));
  EXPECT_EQ(tokenizer.token_bytes(*tokenizer.token_id("<0xE9>")), "\xE9");
  EXPECT_EQ(tokenizer.token_bytes(420), "");
  EXPECT_THAT(tokenizer.encode("<|im_end|>"), ElementsAre(3));
  EXPECT_GT(tokenizer.encode("<|im_end|>", Tokenizer::Special::kAsText).size(), 4u);
  EXPECT_FALSE(tokenizer.adds_space());
}

TEST(SentencePiece, StreamsCharactersThatAreSpreadOverBytePieces) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  StreamDecoder stream(tokenizer, /*skip_special=*/true);
  std::vector<std::string> parts;
  for (const int64_t id : tokenizer.encode("é<|im_end|>")) parts.push_back(stream.push(id));
  EXPECT_THAT(parts, ElementsAre("", "é", ""));
  EXPECT_EQ(stream.finish(), "");
}

/// Gives the trainer the same sentence twenty times.
class SameLine : public sentencepiece::SentenceIterator {
 public:
  bool done() const override { return count_ == 20; }
  void Next() override { ++count_; }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  int count_ = 0;
  std::string line_ = "<think> no mark </think> <answer>A or B</answer> is this a defect";
};

class SentencePieceFolder : public ::testing::Test {
 protected:
  SentencePieceFolder() { model_ = read_file("test", kFolder / "tokenizer.model"); }
  void write(const char* name, const std::string& text) { write_file_atomic("test", folder_.path() / name, text); }
  std::string with_zero_at(size_t offset) const { return std::string(model_).replace(offset, 1, 1, '\0'); }
  Tokenizer load() { return Tokenizer::load(folder_.path()); }
  TempFolder folder_;
  std::string model_;
};

TEST_F(SentencePieceFolder, TakesAddedTokensBeyondTheModel) {
  write("tokenizer.model", model_);
  write(
      "tokenizer_config.json",
      R"({"added_tokens_decoder": {"421": {"content": "<|extra|>", "special": true}, "3": {"content": "<|im_end|>"}}})");
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.size(), 422);
  EXPECT_THAT(tokenizer.encode("<|extra|><|im_end|>"), ElementsAre(421, 3));
  EXPECT_TRUE(tokenizer.is_special(421));
  EXPECT_FALSE(tokenizer.is_special(3));
  EXPECT_EQ(tokenizer.token_bytes(420), "");
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"7": {"content": "<|im_end|>"}}})");
  EXPECT_THAT([&] { load(); }, ThrowsMessage<Error>(AllOf(HasSubstr("<|im_end|>"), HasSubstr("has id 7, but 3"))));
}

TEST_F(SentencePieceFolder, DropsTheSpaceThatAModelPutsBeforeEveryText) {
  SameLine lines;
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      "--model_type=unigram --vocab_size=300 --byte_fallback=true --hard_vocab_limit=false --minloglevel=2", &lines,
      &model);
  ASSERT_TRUE(status.ok()) << status.ToString();
  write("tokenizer.model", model);
  const Tokenizer tokenizer = load();
  EXPECT_TRUE(tokenizer.adds_space());
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("no mark"), /*skip_special=*/true), "no mark");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("</s>no mark"), /*skip_special=*/true), "no mark");
  EXPECT_THAT(find_answer_tokens(tokenizer).before, ::testing::StartsWith("<"));
}

// Without our check the library would abort the process for a piece that begins with a zero byte.
TEST_F(SentencePieceFolder, RefusesADamagedModelNamingIt) {
  const std::vector<std::string> damaged = {"",
                                            "text",
                                            std::string(1000, '\0'),
                                            model_.substr(0, model_.size() / 2),
                                            model_.substr(1),
                                            std::string(500, '\xFF'),
                                            with_zero_at(model_.find("<unk>")),
                                            with_zero_at(model_.find("<unk>") + 4)};
  for (const std::string& bytes : damaged) {
    write("tokenizer.model", bytes);
    EXPECT_THAT([&] { load(); }, ThrowsMessage<Error>(AllOf(HasSubstr("[text] "), HasSubstr("tokenizer.model"))));
  }
}

TEST_F(SentencePieceFolder, NeverCrashesOnAChangedByte) {
  for (size_t at = 0; at < model_.size(); at += 37) {
    std::string bytes = model_;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x5A);
    write("tokenizer.model", bytes);
    try {
      load().encode("<think> é </think>");
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("[text] "));
    }
  }
}

TEST_F(SentencePieceFolder, NamesTheFilesThatAFolderWithoutTokenizerLacks) {
  EXPECT_THAT([&] { load(); }, ThrowsMessage<Error>(HasSubstr("or tokenizer.model")));
}

}  // namespace
}  // namespace lriad

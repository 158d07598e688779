#include "lriad/text/train_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::vector<std::string> kTexts = {"<think> a gear </think> <answer>A</answer>",
                                         "<think> a nut </think> <answer>B</answer>"};

void write(const TempFolder& folder, const TokenizerFiles& files) {
  for (const auto& [name, content] : files) write_file_atomic("test", folder.path() / name, content);
}

TEST(TrainBpe, MakesATokenizerThatGivesEveryTextBack) {
  const TempFolder folder;
  write(folder, train_bpe_tokenizer(kTexts, 290));
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.size(), 290);
  const std::string text = "<|im_start|>user\n\xC3\xA9 12\t  \xE4\xB8\xAD \xF0\x9F\x98\x80 gear<|im_end|>";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), /*skip_special=*/false), text);
  EXPECT_EQ(tokenizer.token_id("<|endoftext|>"), 276);
  EXPECT_TRUE(tokenizer.is_special(289));
}

TEST(TrainBpe, LearnsTheTextsAndGivesAnswerTokens) {
  const TempFolder folder;
  write(folder, train_bpe_tokenizer(kTexts, 640));
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_LE(tokenizer.encode(kTexts[0]).size(), 16u);
  const AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  EXPECT_NE(answer_tokens.a, answer_tokens.b);
  EXPECT_EQ(tokenizer.token_bytes(answer_tokens.a), ">A");
}

TEST(TrainBpe, TokenizerJsonAndVocabWithMergesGiveTheSameIds) {
  const TempFolder folder;
  write(folder, train_bpe_tokenizer(kTexts, 320));
  const auto ids = Tokenizer::load(folder.path()).encode(kTexts[1]);
  std::filesystem::remove(folder.path() / "tokenizer.json");
  EXPECT_EQ(Tokenizer::load(folder.path()).encode(kTexts[1]), ids);
}

TEST(TrainBpe, RefusesASizeBelowTheBytes) {
  EXPECT_THAT([] { train_bpe_tokenizer(kTexts, 200); }, ThrowsMessage<Error>(HasSubstr("200 tokens is too small")));
}

TEST(TrainSentencepiece, MakesATokenizerThatGivesEveryTextBack) {
  const TempFolder folder;
  const TokenizerFiles files = train_sentencepiece_tokenizer(kTexts, 320);
  EXPECT_EQ(train_sentencepiece_tokenizer(kTexts, 320), files);
  write(folder, files);
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  EXPECT_LE(tokenizer.size(), 320);
  const std::string text = "<|im_start|>user\n\xC3\xA9 12 \xE4\xB8\xAD gear<|im_end|>";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), /*skip_special=*/false), text);
  EXPECT_EQ(tokenizer.token_bytes(find_answer_tokens(tokenizer).a), "A");
}

}  // namespace
}  // namespace lriad

// Tokenizers of Qwen2.5-VL and Qwen3-VL, whose tokens after the first 14 added ones stay in decoded text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>

#include "lriad/core/files.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "lriad/text/train_tokenizer.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

const std::string kAnswer = "<think> ok </think> <answer>A</answer>";

Tokenizer golden(const char* name) { return Tokenizer::load(std::filesystem::path(LRIAD_GOLDEN_DIR) / name); }

/// Number of tokens that <think> takes.
std::size_t think_length(const Tokenizer& tokenizer) { return tokenizer.encode("<think>").size(); }

TEST(FamilyTokenizer, ThinkIsOneTokenOfQwen3VlAlone) {
  EXPECT_GT(think_length(golden("tiny_qwen25vl")), 1u);
  const Tokenizer tokenizer = golden("tiny_qwen3vl");
  EXPECT_EQ(think_length(tokenizer), 1u);
  EXPECT_EQ(tokenizer.encode("<think>", Tokenizer::Special::kAsText).size(), 1u);  // it is no special token
  EXPECT_FALSE(tokenizer.is_special(*tokenizer.token_id("</think>")));
}

TEST(FamilyTokenizer, AnswersSurviveDecodingWithoutSpecialTokens) {
  for (const char* name : {"tiny_qwen25vl", "tiny_qwen3vl"}) {
    const Tokenizer tokenizer = golden(name);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(kAnswer + "<|im_end|>"), /*skip_special=*/true), kAnswer) << name;
    EXPECT_EQ(find_answer_tokens(tokenizer).before, "<answer") << name;
  }
}

TEST(FamilyTokenizer, TemplatesAreReadWithTheFolder) {
  EXPECT_EQ(golden("tiny_qwen25vl").chat_template().model_type, "qwen2_vl");
  EXPECT_EQ(golden("tiny_qwen3vl").chat_template().model_type, "qwen3_vl");
}

TEST(FamilyTokenizer, TrainedOnesHaveTheFamilysAddedTokens) {
  for (const auto& [family, count, whole] : {std::tuple<const char*, std::size_t, bool>{"qwen2_vl", 14, false},
                                             {"qwen2_5_vl", 22, false},
                                             {"qwen3_vl", 26, true}}) {
    EXPECT_EQ(family_tokens(family).size(), count);
    const TempFolder folder;
    for (const auto& [name, content] : train_bpe_tokenizer({"ok or not"}, 300, family))
      write_file_atomic("test", folder.path() / name, content);
    const Tokenizer tokenizer = Tokenizer::load(folder.path());
    EXPECT_EQ(think_length(tokenizer) == 1, whole) << family;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(kAnswer + "<|im_end|>"), /*skip_special=*/true), kAnswer) << family;
    EXPECT_TRUE(tokenizer.is_special(*tokenizer.token_id("<|image_pad|>")));
  }
}

}  // namespace
}  // namespace lriad

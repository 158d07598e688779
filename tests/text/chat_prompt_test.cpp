#include "lriad/text/chat_prompt.h"

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
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const fs::path& real_tokenizer() {
  static const Qwen2TokenizerFolder folder;
  return folder.path();
}
const fs::path kSentencePiece = fs::path(LRIAD_GOLDEN_DIR) / "sentencepiece";

// Golden: scripts/golden/make_chat.py, transformers 5.23.0.
json golden() { return json::parse(read_file("test", fs::path(LRIAD_GOLDEN_DIR) / "chat.json")); }

std::optional<std::string> system_of(const json& row) {
  return row["system"].is_null() ? std::nullopt : std::optional(row["system"].get<std::string>());
}

std::vector<int64_t> ids_of(const json& row) {
  std::vector<int64_t> ids;
  for (const json& run : row["runs"]) ids.insert(ids.end(), run[1].get<size_t>(), run[0].get<int64_t>());
  return ids;
}

/// A user turn [images, text].
std::string turn(const json& text, int64_t images) {
  if (images == 0) return text.get<std::string>();
  return place_images("{reference}" + text.get<std::string>(), images - 1);
}

TEST(ChatPrompt, FillsInTheObjectWhereverItStands) {
  EXPECT_EQ(fill_prompt("{object} and {object}, {other}", "metal nut"), "metal nut and metal nut, {other}");
  EXPECT_EQ(fill_prompt("{object}", "{object}"), "{object}");
}

TEST(ChatPrompt, RendersAsTheTemplateOfTransformers) {
  for (const json& row : golden()) {
    const auto images = static_cast<int64_t>(row["image_tokens"].size());
    EXPECT_EQ(render_chat(chat_template("qwen2_vl"), system_of(row), turn(row["text"], images)),
              row["chat"].get<std::string>());
  }
}

TEST(ChatPrompt, RefusesAnotherNumberOfImageTokensThanImages) {
  const Tokenizer tokenizer = Tokenizer::load(kSentencePiece);
  const std::vector<int64_t> one = {4}, none = {0};
  EXPECT_THAT([&] { encode_chat(tokenizer, {}, turn("see <|image_pad|>", 1), one); },
              ThrowsMessage<Error>(HasSubstr("[text] the prompt has 2 times <|image_pad|> for 1 images")));
  EXPECT_THAT([&] { encode_chat(tokenizer, {}, turn("x", 1), none); }, ThrowsMessage<Error>(HasSubstr("image 1")));
}

TEST(RealChat, EncodesAsTheProcessorOfTransformers) {
  const Tokenizer tokenizer = Tokenizer::load(real_tokenizer());
  for (const json& row : golden()) {
    const auto tokens = row["image_tokens"].get<std::vector<int64_t>>();
    EXPECT_EQ(encode_chat(tokenizer, system_of(row), turn(row["text"], std::ssize(tokens)), tokens), ids_of(row));
  }
}

TEST(RealChat, PassesThePublishedTemplate) {
  EXPECT_NO_THROW(check_chat_template(real_tokenizer()));
  const json published = json::parse(read_file("test", real_tokenizer() / "chat_template.json"));
  EXPECT_EQ(chat_template("qwen2_vl").jinja, published["chat_template"].get<std::string>());
}

TEST(RealChat, FindsTheAnswerTokenOfACompletion) {
  const Tokenizer tokenizer = Tokenizer::load(real_tokenizer());
  const AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  EXPECT_EQ(answer_tokens.before, "<answer");
  EXPECT_EQ(tokenizer.token_bytes(answer_tokens.a), ">A");
  EXPECT_EQ(tokenizer.token_bytes(answer_tokens.b), ">B");
  const auto answer_token_of = [&](const std::string& text) -> std::string {
    const auto ids = tokenizer.encode(text);
    const auto at = answer_position(tokenizer, answer_tokens, ids);
    return at ? tokenizer.token_bytes(ids.at(static_cast<size_t>(*at))) : "none";
  };
  EXPECT_EQ(answer_token_of("<think> x </think> <answer>A</answer><|im_end|>"), ">A");
  EXPECT_EQ(answer_token_of("<think> x </think>\n<answer>B</answer>"), ">B");
  EXPECT_EQ(answer_token_of("<answer>A</answer> no, <answer>B"), ">B");
  EXPECT_EQ(answer_token_of("<answer>(A)</answer>"), "none");
  EXPECT_EQ(answer_token_of("<answer> A</answer>"), "none");
  EXPECT_EQ(answer_token_of("the answer>A"), "none");
  EXPECT_EQ(answer_token_of("<answer>"), "none");
  EXPECT_EQ(answer_token_of(""), "none");
}

TEST(ChatPrompt, FindsTheAnswerTokenWithSentencePiece) {
  const Tokenizer tokenizer = Tokenizer::load(kSentencePiece);
  const AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  EXPECT_EQ(tokenizer.token_bytes(answer_tokens.a), "A");
  EXPECT_EQ(answer_tokens.before, "<answer>");
  const auto ids = tokenizer.encode("<think> x </think> <answer>B</answer><|im_end|>");
  const auto at = answer_position(tokenizer, answer_tokens, ids);
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(ids.at(static_cast<size_t>(*at)), answer_tokens.b);
  EXPECT_FALSE(answer_position(tokenizer, answer_tokens, tokenizer.encode("<answer>(B)</answer>")).has_value());
}

class ChatTemplate : public ::testing::Test {
 protected:
  void write(const char* name, const std::string& text) { write_file_atomic("test", folder_.path() / name, text); }
  void check() { check_chat_template(folder_.path()); }
  TempFolder folder_;
};

TEST_F(ChatTemplate, PassesUpToOuterWhiteSpaceInEachFile) {
  EXPECT_NO_THROW(check());
  const std::string text(chat_template("qwen2_vl").jinja);
  write("tokenizer_config.json",
        json{{"chat_template", json::array({{{"name", "default"}, {"template", text}}})}}.dump());
  EXPECT_NO_THROW(check());
  write("chat_template.json", json{{"chat_template", "\n" + text + " "}}.dump());
  EXPECT_NO_THROW(check());
  write("chat_template.jinja", text + "\n");
  EXPECT_NO_THROW(check());
}

TEST_F(ChatTemplate, RefusesAnotherNamingTheFileAndItsBeginning) {
  write("tokenizer_config.json", json{{"chat_template", "{% for m in messages %}\nUSER: {{ m }}"}}.dump());
  const auto refused = [&](const std::string& file) {
    return ThrowsMessage<Error>(AllOf(HasSubstr("[text] "), HasSubstr(file), HasSubstr("USER:")));
  };
  EXPECT_THAT([&] { check(); }, refused("tokenizer_config.json"));
  write("chat_template.jinja", std::string(chat_template("qwen2_vl").jinja) + "USER:");
  EXPECT_THAT([&] { check(); }, ThrowsMessage<Error>(HasSubstr("chat_template.jinja")));
  write("chat_template.json", json{{"chat_template", chat_template("qwen2_vl").jinja}}.dump());
  EXPECT_NO_THROW(check());  // it comes before the .jinja file
  write("processor_config.json", json{{"chat_template", "USER:"}}.dump());
  EXPECT_THAT([&] { check(); }, refused("processor_config.json"));  // and this before all others
}

TEST_F(ChatTemplate, RefusesDamagedFiles) {
  write("chat_template.json", "{\"chat_template\": 3}");
  EXPECT_THAT([&] { check(); }, ThrowsMessage<Error>(HasSubstr("chat_template is a JSON number, expected a text")));
  write("chat_template.json", "{");
  EXPECT_THAT([&] { check(); }, ThrowsMessage<Error>(HasSubstr("not valid JSON")));
  write("chat_template.json", "{\"chat_template\": [{\"name\": \"rag\"}]}");
  EXPECT_THAT([&] { check(); }, ThrowsMessage<Error>(HasSubstr("no entry named \"default\"")));
}

TEST_F(ChatTemplate, IsKnownByItsTextElseByTheModelType) {
  write("config.json", json{{"model_type", "qwen3_vl"}}.dump());
  EXPECT_EQ(known_chat_template(folder_.path())->model_type, "qwen3_vl");
  write("chat_template.jinja", std::string(chat_template("qwen2_5_vl").jinja));
  EXPECT_EQ(known_chat_template(folder_.path())->model_type, "qwen2_vl");
  write("chat_template.json", json{{"chat_template", chat_template("qwen3_vl").jinja}}.dump());
  EXPECT_EQ(known_chat_template(folder_.path())->model_type, "qwen3_vl");
}

// Golden: transformers 5.23.0 with the published templates; chats of one user turn, with and without a system turn.
TEST(ChatPrompt, RendersTheTemplateOfEachFamily) {
  const json rows = json::parse(read_file("test", fs::path(LRIAD_GOLDEN_DIR) / "family_chats.json"));
  ASSERT_EQ(rows.size(), 12u);
  for (const json& row : rows) {
    const auto& chat = chat_template(row["family"].get<std::string>());
    EXPECT_EQ(render_chat(chat, system_of(row), turn(row["text"], row["images"].get<int64_t>())),
              row["chat"].get<std::string>());
  }
}

TEST(ChatPrompt, PutsTheImageToJudgeBehindTheReferencesUnlessToldWhere) {
  const std::string image = "<|vision_start|><|image_pad|><|vision_end|>";
  EXPECT_EQ(place_images("Is {object} whole?", 0), image + "Is {object} whole?");
  EXPECT_EQ(place_images("See {image}!", 0), "See " + image + "!");
  EXPECT_EQ(place_images("Good: {reference} Bad?", 2), "Good: " + image + image + image + " Bad?");
  EXPECT_EQ(place_images("Good: {reference} This: {image} Bad?", 1), "Good: " + image + " This: " + image + " Bad?");
  EXPECT_EQ(fill_prompt(place_images("{object}", 0), "{reference}{image}"), image + "{reference}{image}");
}

// Golden: scripts/golden/make_references.py, transformers 5.23.0 with images and texts in turn.
std::vector<json> reference_rows(const std::string& family) {
  std::vector<json> rows;
  for (const json& row : json::parse(read_file("test", fs::path(LRIAD_GOLDEN_DIR) / "references.json"))) {
    if (row["family"] == family) rows.push_back(row);
  }
  EXPECT_EQ(rows.size(), 12u);
  return rows;
}

void expect_reference_prompts(const std::string& family, const Tokenizer& tokenizer) {
  for (const json& row : reference_rows(family)) {
    const std::string user_turn =
        fill_prompt(place_images(row["template"].get<std::string>(), row["references"].get<int64_t>()), "metal nut");
    EXPECT_EQ(render_chat(chat_template(family), system_of(row), user_turn), row["chat"].get<std::string>());
    const auto tokens = row["image_tokens"].get<std::vector<int64_t>>();
    EXPECT_EQ(encode_chat(tokenizer, system_of(row), user_turn, tokens), ids_of(row)) << row["chat"];
  }
}

TEST(RealChat, PlacesReferenceImagesAsTheProcessorOfTransformers) {
  expect_reference_prompts("qwen2_vl", Tokenizer::load(real_tokenizer()));
}

TEST(ChatPrompt, PlacesReferenceImagesAsTheProcessorOfEachFamily) {
  expect_reference_prompts("qwen2_5_vl", Tokenizer::load(fs::path(LRIAD_GOLDEN_DIR) / "tiny_qwen25vl"));
  expect_reference_prompts("qwen3_vl", Tokenizer::load(fs::path(LRIAD_GOLDEN_DIR) / "tiny_qwen3vl"));
}

}  // namespace
}  // namespace lriad

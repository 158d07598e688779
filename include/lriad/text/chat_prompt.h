#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/text/tokenizer.h"

namespace lriad {

/// The paper's prompt (section III-D) with {object} still in it; interfaces' section 3, line by line.
extern const char* const kPaperPrompt;

/// `template_text` with every {object} replaced by the object's name (an alias of `object_names` or the name with `_`
/// turned into a space).
std::string fill_prompt(std::string_view template_text, std::string_view object_name);

/// Throws Error naming the template's file if the folder's chat template is not Qwen2-VL's (compared as text, after
/// reading chat_template.jinja, chat_template.json or tokenizer_config.json). A folder without any template passes.
void check_chat_template(const std::filesystem::path& model_dir);

/// The rendered chat up to and with `<|im_start|>assistant\n`: system turn (null: the template's own), user turn
/// [images, text]. Each image is `<|vision_start|><|image_pad|><|vision_end|>`.
std::string render_chat(const std::optional<std::string>& system, std::string_view user_text, int64_t num_images = 1);

/// Ids of render_chat() with the k-th image_pad repeated image_tokens[k] times before tokenizing, as the HF processor.
std::vector<int64_t> encode_chat(const Tokenizer& tokenizer, const std::optional<std::string>& system,
                                 std::string_view user_text, std::span<const int64_t> image_tokens);

/// The two tokens that tell the verdict: those of `<answer>A` and `<answer>B` after their common prefix. Throws Error if
/// the tokenizer gives no single differing token.
struct LetterTokens {
  int64_t a = 0;  ///< defect
  int64_t b = 0;  ///< normal
  std::string before;  ///< text that stands before the letter token, such as "<answer"
};
LetterTokens letter_tokens(const Tokenizer& tokenizer);

/// Position in `ids` (completion, end token included or not) of the letter token that gives the answer: the token is a
/// letter token and follows `<answer>` directly. Null if there is none.
std::optional<int64_t> answer_position(const Tokenizer& tokenizer, const LetterTokens& letters,
                                       std::span<const int64_t> ids);

}  // namespace lriad

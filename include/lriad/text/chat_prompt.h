#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/text/chat_template.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// `template_text` with every {object} replaced by `object_name`. It is inserted as it is; aliases and `_` are resolved
/// before.
std::string fill_prompt(std::string_view template_text, std::string_view object_name);

/// `template_text` with so many reference images at {reference} and the image to judge at {image}; without that word it
/// stands behind the reference images, else first. Each image is `<|vision_start|><|image_pad|><|vision_end|>`.
std::string place_images(std::string_view template_text, int64_t num_references);

/// The rendered chat up to and with `<|im_start|>assistant\n`: system turn (null: the template's own, or none), user
/// turn with its text and images as place_images() leaves them.
std::string render_chat(const ChatTemplate& chat_template, const std::optional<std::string>& system,
                        std::string_view user_turn);

/// Ids of render_chat() by the tokenizer's template with the k-th image_pad repeated image_tokens[k] times before
/// tokenizing, as the HF processor. Throws Error if the chat has another number of image_pad than image_tokens, or a
/// count below 1.
std::vector<int64_t> encode_chat(const Tokenizer& tokenizer, const std::optional<std::string>& system,
                                 std::string_view user_turn, std::span<const int64_t> image_tokens);

/// The two tokens that tell A from B: `<answer>A` and `<answer>B` are tokenized, and their common prefix is left out.
struct AnswerTokens {
  int64_t a = 0;                     ///< defect
  int64_t b = 0;                     ///< normal
  std::string before;                ///< text of the common prefix, such as "<answer" with Qwen2's ">A"
  std::optional<int64_t> before_id;  ///< last token of that prefix; null if the answer tokens contain the whole tag
};

/// Throws Error if A and B do not differ in exactly one token.
AnswerTokens find_answer_tokens(const Tokenizer& tokenizer);

/// Index in `ids` (a completion, with or without its end token) of the answer token: the last A or B token that follows
/// `before_id` and completes `<answer>A` or `<answer>B`. Null if there is none, as for `<answer>(A)` or `<answer> A`.
std::optional<int64_t> answer_position(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens,
                                       std::span<const int64_t> ids);

}  // namespace lriad

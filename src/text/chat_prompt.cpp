#include "lriad/text/chat_prompt.h"

#include <algorithm>
#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::string_view kImagePad = "<|image_pad|>", kImage = "<|vision_start|><|image_pad|><|vision_end|>";

/// `text` with each occurrence of `from` replaced by what `with` appends.
template <class Append>
std::string replace_each(std::string_view text, std::string_view from, const Append& with) {
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    out.append(text.substr(done, at - done));
    with(out);
    done = at + from.size();
  }
  return out.append(text.substr(done));
}

size_t count_of(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

std::string bytes_of(const Tokenizer& tokenizer, std::span<const int64_t> ids) {
  std::string bytes;
  for (const int64_t id : ids) bytes += tokenizer.token_bytes(id);
  return bytes;
}

/// Bytes of the tokens up to ids[end - 1], at least the last `length` of them if there are so many.
std::string tail_before(const Tokenizer& tokenizer, std::span<const int64_t> ids, size_t end, size_t length) {
  size_t start = end, size = 0;
  while (start > 0 && size < length) size += tokenizer.token_bytes(ids[--start]).size();
  return bytes_of(tokenizer, ids.subspan(start, end - start));
}

}  // namespace

std::string fill_prompt(std::string_view template_text, std::string_view object_name) {
  return replace_each(template_text, "{object}", [&](std::string& out) { out.append(object_name); });
}

std::string place_images(std::string_view template_text, int64_t num_references) {
  constexpr std::string_view kReference = "{reference}", kQuery = "{image}";
  std::string text(template_text);
  if (text.find(kQuery) == std::string::npos) {
    const size_t references = text.find(kReference);
    text.insert(references == std::string::npos ? 0 : references + kReference.size(), kQuery);
  }
  text = replace_each(text, kReference, [&](std::string& out) {
    for (int64_t i = 0; i < num_references; ++i) out.append(kImage);
  });
  return replace_each(text, kQuery, [](std::string& out) { out.append(kImage); });
}

std::string render_chat(const ChatTemplate& chat_template, const std::optional<std::string>& system,
                        std::string_view user_turn) {
  const std::optional<std::string_view> turn = system ? system : chat_template.default_system;
  std::string chat;
  if (turn) chat.append("<|im_start|>system\n").append(*turn).append("<|im_end|>\n");
  return chat.append("<|im_start|>user\n").append(user_turn).append("<|im_end|>\n<|im_start|>assistant\n");
}

std::vector<int64_t> encode_chat(const Tokenizer& tokenizer, const std::optional<std::string>& system,
                                 std::string_view user_turn, std::span<const int64_t> image_tokens) {
  const std::string chat = render_chat(tokenizer.chat_template(), system, user_turn);
  const size_t pads = count_of(chat, kImagePad);
  if (pads != image_tokens.size()) {
    fail("text", "the prompt has ", pads, " times ", kImagePad, " for ", image_tokens.size(),
         " images; take it out of prompt.template and prompt.system");
  }
  size_t next = 0;
  const std::string expanded = replace_each(chat, kImagePad, [&](std::string& out) {
    const int64_t count = image_tokens[next++];
    if (count < 1) fail("text", "image ", next, " of the prompt has ", count, " tokens, expected at least 1");
    for (int64_t i = 0; i < count; ++i) out.append(kImagePad);
  });
  return tokenizer.encode(expanded);
}

AnswerTokens find_answer_tokens(const Tokenizer& tokenizer) {
  const std::vector<int64_t> a = tokenizer.encode("<answer>A"), b = tokenizer.encode("<answer>B");
  const auto [end_a, end_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (a.end() - end_a != 1 || b.end() - end_b != 1) {
    fail("text", "the tokenizer writes <answer>A and <answer>B with ", a.end() - end_a, " and ", b.end() - end_b,
         " tokens of their own, expected 1 each; no probability can be read from such answers");
  }
  AnswerTokens answer_tokens{*end_a, *end_b, {}, {}};
  const auto prefix = std::span(a).first(a.size() - 1);
  answer_tokens.before = bytes_of(tokenizer, prefix);
  if (answer_tokens.before.starts_with(' ')) answer_tokens.before.erase(0, 1);  // added by sentencepiece to each text
  if (!prefix.empty()) answer_tokens.before_id = prefix.back();
  return answer_tokens;
}

std::optional<int64_t> answer_position(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens,
                                       std::span<const int64_t> ids) {
  for (size_t at = ids.size(); at-- > 0;) {
    if (ids[at] != answer_tokens.a && ids[at] != answer_tokens.b) continue;
    if (answer_tokens.before_id && (at == 0 || ids[at - 1] != *answer_tokens.before_id)) continue;
    if (tail_before(tokenizer, ids, at, answer_tokens.before.size()).ends_with(answer_tokens.before))
      return static_cast<int64_t>(at);
  }
  return std::nullopt;
}

}  // namespace lriad

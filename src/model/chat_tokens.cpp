#include "lriad/model/chat_tokens.h"

#include <optional>

#include "lriad/core/error.h"

namespace lriad {

void check_chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config) {
  const auto check = [&](const char* mark, std::optional<int64_t> expected) {
    const std::vector<int64_t> ids = tokenizer.encode(mark);
    if (ids.size() == 1 && ids.front() == expected.value_or(ids.front())) return;
    fail("model", "the tokenizer writes ", mark,
         ids.size() == 1 ? concat(" as ", ids.front()) : concat(" in ", ids.size(), " pieces"), ", expected ",
         expected ? concat("the id of config.json, ", *expected) : "one token",
         "; take all tokenizer files of the published model");
  };
  check("<|im_start|>", {});
  check("<|im_end|>", {});
  check("<|image_pad|>", config.image_token_id);
  check("<|vision_start|>", config.vision_start_token_id);
  check("<|vision_end|>", config.vision_end_token_id);
}

}  // namespace lriad

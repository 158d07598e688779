#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace lriad {

/// The entry added_tokens of a tokenizer.json: the special tokens with ids from `first_id` on.
nlohmann::ordered_json added_tokens_json(int64_t first_id);

/// Content of a tokenizer_config.json with the special tokens from `first_id` on and Qwen2-VL's chat template.
std::string tokenizer_config_text(const std::string& tokenizer_class, int64_t first_id);

}  // namespace lriad

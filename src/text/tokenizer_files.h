#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lriad {

/// family_tokens() as tokenizer.json lists them, ids from `first_id` on.
nlohmann::ordered_json added_tokens_json(std::string_view model_type, int64_t first_id);

/// Content of a tokenizer_config.json with the family's tokens from `first_id` on and its chat template.
std::string tokenizer_config_text(std::string_view model_type, const std::string& tokenizer_class, int64_t first_id);

}  // namespace lriad

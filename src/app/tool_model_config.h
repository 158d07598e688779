#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "lriad/model/model_config.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// Config of a size that make-model knows: tiny, small or a published shape of the family; fit_to_tokenizer() may
/// enlarge vocab_size. Throws Error for other names.
ModelConfig named_model_config(const std::string& family, const std::string& size);

/// Sets vocabulary size and special ids to those of the tokenizer. Throws Error naming a special token that it lacks.
void fit_to_tokenizer(ModelConfig& config, const Tokenizer& tokenizer);

/// Contents of the model's JSON files; config.json is in the layout of the family's published files.
nlohmann::ordered_json config_json(const ModelConfig& config, const Tokenizer& tokenizer, const std::string& dtype);
nlohmann::ordered_json generation_config_json(const ModelConfig& config, const Tokenizer& tokenizer);
nlohmann::ordered_json preprocessor_config_json(const ModelConfig& config);

}  // namespace lriad

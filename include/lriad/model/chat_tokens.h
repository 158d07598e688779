#pragma once

#include "lriad/model/model_config.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// Throws Error unless the tokenizer knows the marks of the chat template, each as one token, and those around images
/// by the ids of config.json.
void check_chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config);

}  // namespace lriad

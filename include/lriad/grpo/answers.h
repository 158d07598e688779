#pragma once

#include "lriad/generation/generate.h"
#include "lriad/grpo/reward.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// Reads a completion with parse_answer(). The final end token is removed unless it was truncated; other special tokens
/// stay in the text and make it ill-formed.
Verdict verdict_of(const Tokenizer& tokenizer, std::span<const int64_t> ids, bool truncated);

/// The trace of the completion's answer token; null if it has none (see answer_position()).
std::optional<TokenTrace> answer_token_trace(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens,
                                             const Completion& completion);

/// Probability of A, by softmax over the logits of the two answer tokens at temperature 1.
double defect_probability(const TokenTrace& trace);

/// What the rewards of a completion depend on; `is_defect` is the label.
RewardInput reward_input(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens, const Completion& completion,
                         bool is_defect);

}  // namespace lriad

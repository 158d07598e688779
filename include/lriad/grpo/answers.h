#pragma once

#include "lriad/generation/generate.h"
#include "lriad/grpo/reward.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// What a completion says: its end token taken off, special tokens inside kept, so that they make it ill-formed.
Verdict verdict_of(const Tokenizer& tokenizer, std::span<const int64_t> ids, bool truncated);

/// The trace of the token that gives the answer's letter; null if there is none.
std::optional<TokenTrace> answer_token_trace(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens,
                                             const Completion& completion);

/// Probability of A against B, both letters' logits at temperature 1.
double defect_probability(const TokenTrace& trace);

/// What the rewards of a completion depend on, given the label.
RewardInput reward_input(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens, const Completion& completion,
                         bool is_defect);

}  // namespace lriad

#include "lriad/grpo/answers.h"

#include <cmath>

namespace lriad {

Verdict verdict_of(const Tokenizer& tokenizer, std::span<const int64_t> ids, bool truncated) {
  const std::size_t length = ids.size() - (truncated || ids.empty() ? 0 : 1);
  return parse_answer(tokenizer.decode(ids.first(length), /*skip_special=*/false), /*end_tokens=*/{});
}

std::optional<TokenTrace> answer_token_trace(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens,
                                             const Completion& completion) {
  const auto position = answer_position(tokenizer, answer_tokens, completion.ids);
  if (!position) return std::nullopt;
  return completion.trace[static_cast<std::size_t>(*position)];
}

double defect_probability(const TokenTrace& trace) {
  return 1 / (1 + std::exp(trace.answer_logit_b - trace.answer_logit_a));
}

RewardInput reward_input(const Tokenizer& tokenizer, const AnswerTokens& answer_tokens, const Completion& completion,
                         bool is_defect) {
  RewardInput input;
  input.length = std::ssize(completion.ids);
  input.verdict = verdict_of(tokenizer, completion.ids, completion.truncated);
  if (const auto trace = answer_token_trace(tokenizer, answer_tokens, completion)) {
    input.p_softmax = is_defect ? defect_probability(*trace) : 1 - defect_probability(*trace);
    input.p_token = std::exp((is_defect ? trace->answer_logit_a : trace->answer_logit_b) - trace->log_sum);
  }
  return input;
}

}  // namespace lriad

#pragma once

#include <cstdint>

#include "lriad/eval/evaluator.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// How lriad-eval and evaluation during training let the model answer.
struct AnswerOptions {
  int64_t max_new_tokens = 256;
  double temperature = 0;  ///< 0: greedy, the lowest id among equal logits
  bool ban_vision_tokens = true;
  uint64_t seed = 42;  ///< acts above temperature 0
};

/// Answers of `model` as it stands (with its adapter, if it has one): images through the tower once, prompts
/// prefilled together, decoding over a cache until every row has met an end token. Log-probabilities are those of the
/// whole vocabulary at temperature 1 (temperature 0) or of the distribution sampled from. An answer does not depend on
/// what else is in the batch. `model` and `tokenizer` must outlive the function.
AnswerFunction model_answers(Qwen2Vl& model, const Tokenizer& tokenizer, const AnswerOptions& options);

}  // namespace lriad

#pragma once

#include <cstdint>
#include <functional>

#include "lriad/eval/evaluator.h"
#include "lriad/model/feature_cache.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// How the model generates answers in an evaluation.
struct AnswerOptions {
  int64_t max_new_tokens = 256;
  double temperature = 0;                      ///< 0: greedy, the lowest id among equal logits
  bool ban_vision_tokens = true;               ///< never generate image, video, vision start and vision end ids
  uint64_t seed = 42;                          ///< used if temperature > 0
  int64_t batch_size = 0;                      ///< prompts at once, as prompts_at_once() has it
  std::function<void()> each_token;            ///< called before each token; may throw to stop
  FeatureCache* reference_features = nullptr;  ///< computes the features of reference images, which come again
};

/// A function that answers with `model` and its adapter, if it has one. Log-probabilities are those over the whole
/// vocabulary at temperature 1 if `temperature` is 0, else those of the distribution sampled from. An answer does not
/// depend on the other samples of the batch. `model`, `tokenizer` and the cache, without which no sample may have
/// reference images, must outlive the function.
AnswerFunction model_answers(Qwen2Vl& model, const Tokenizer& tokenizer, const AnswerOptions& options);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "lriad/generation/sampler.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// A prompt to generate completions for. Random numbers are keyed by (seed, step, prompt, generation, token), so
/// completions do not depend on which prompts are generated together, in what order, on how many threads or ranks.
struct GenerationPrompt {
  std::vector<int64_t> ids;
  std::vector<Grid> grids;        ///< of its images, in order
  at::Tensor features_MD;         ///< of its images; undefined without any
  uint32_t step = 0;              ///< key
  uint32_t prompt = 0;            ///< key: index in the step's batch over all ranks, or of the sample
  uint32_t first_generation = 0;  ///< key of the first row
};

/// What one token was sampled from; natural logarithms.
struct TokenTrace {
  double sampling_logp = 0;                       ///< of the distribution really sampled from
  double logp = 0;                                ///< log softmax over the whole vocabulary at temperature 1, no bans
  double answer_logit_a = 0, answer_logit_b = 0;  ///< logits of the two answer tokens, temperature 1
  double log_sum = 0;                             ///< logsumexp of all logits, temperature 1
};

/// A completion: a buffer of its own, never a slice of prompt + completion.
struct Completion {
  std::vector<int64_t> ids;       ///< end token included if it was sampled
  std::vector<TokenTrace> trace;  ///< one a token
  bool truncated = false;         ///< no end token within the limit
  at::Tensor allowed_TV;          ///< bool on the CPU: tokens that could be sampled; defined with keep_allowed only
};

struct GenerationSettings {
  SamplerSettings sampler;
  int64_t num_generations = 1;
  int64_t max_new_tokens = 256;
  uint64_t seed = 0;
  std::array<int64_t, 2> answer_tokens = {0, 0};  ///< ids of the answer tokens A and B
  bool keep_allowed = false;                      ///< fill Completion::allowed_TV (rollout.renormalise)
  std::function<void()> each_token;               ///< called before each; may throw to end the rollout
};

/// num_generations completions of each prompt by the model as it stands, all in step over one cache: each prompt is
/// prefilled once, a row stops at any of the model's end ids, ended rows leave the batch, decoding stops when all have
/// ended. Runs without gradients and dropout.
std::vector<std::vector<Completion>> generate(Qwen2Vl& model, const std::vector<GenerationPrompt>& prompts,
                                              const GenerationSettings& settings);

}  // namespace lriad

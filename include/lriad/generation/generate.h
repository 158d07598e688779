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
/// completions do not depend on which prompts are generated together or in which order, nor on the number of threads
/// or ranks.
struct GenerationPrompt {
  std::vector<int64_t> ids;
  std::vector<Grid> grids;        ///< of its images, in order
  at::Tensor features_MD;         ///< vision tower's output, [image tokens, feature_dim()]; undefined without images
  uint32_t step = 0;              ///< random key: training step
  uint32_t prompt = 0;            ///< random key: prompt index in the step's batch, or index of the sample
  uint32_t first_generation = 0;  ///< random key of the first completion; the next ones count up
};

/// What one token was sampled from; natural logarithms, temperature 1 unless said otherwise.
struct TokenTrace {
  double sampling_logp = 0;                       ///< log-probability in the sampler's distribution
  double logp = 0;                                ///< log softmax over the whole vocabulary, banned tokens included
  double answer_logit_a = 0, answer_logit_b = 0;  ///< logits of the answer tokens A and B at this position
  double log_sum = 0;                             ///< logsumexp of all logits
};

/// A completion without its prompt, T tokens.
struct Completion {
  std::vector<int64_t> ids;       ///< ends with the end token if one was sampled
  std::vector<TokenTrace> trace;  ///< one per token
  bool truncated = false;         ///< true if no end token came within max_new_tokens
  at::Tensor allowed_TV;          ///< bool, CPU: tokens that could be sampled; defined with keep_allowed only
};

/// How to generate.
struct GenerationSettings {
  SamplerSettings sampler;
  int64_t num_generations = 1;   ///< completions per prompt
  int64_t max_new_tokens = 256;  ///< per completion, end token included
  uint64_t seed = 0;
  std::array<int64_t, 2> answer_tokens = {0, 0};  ///< ids of the answer tokens A and B
  bool keep_allowed = false;                      ///< fill Completion::allowed_TV (rollout.renormalise)
  std::function<void()> each_token;               ///< called before each token is sampled; may throw to stop
};

/// Generates num_generations completions of each prompt, all in one batch over one key/value cache. Each prompt is
/// computed once; a completion ends at any of the model's end tokens. On a GPU that has our kernels, tokens sampled
/// with bans and temperature alone come from a recorded step over fixed rows, else operator by operator from a batch
/// that shrinks as completions end. Gradients and dropout are off; the model's training mode is restored. Returns
/// [prompt][generation].
std::vector<std::vector<Completion>> generate(Qwen2Vl& model, const std::vector<GenerationPrompt>& prompts,
                                              const GenerationSettings& settings);

}  // namespace lriad

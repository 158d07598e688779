#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lriad {

/// The distribution that tokens are drawn from. Nothing of a model's generation_config acts here.
struct SamplerSettings {
  double temperature = 1.0;  ///< 0: greedy, the lowest id among equal scores
  int64_t top_k = 0;         ///< 0 = off
  double top_p = 1.0;
  double min_p = 0.0;
  std::vector<int64_t> banned;  ///< ids that are never drawn
};

/// Scores whose softmax is the sampler's distribution: bans, / T, top-k, top-p, min-p in this order, removed tokens at
/// -inf; temperature 0 divides by nothing. logits [N, V] any float dtype -> [N, V] float32 (float64 for float64). Ties
/// as transformers' warpers: all of an equal k-th score stay; of equal ones at top-p's border the higher ids do.
/// Source: generation/logits_process.py.
at::Tensor sampler_scores(const at::Tensor& logits_NV, const SamplerSettings& settings);

/// One id a row by inversion of the cumulative distribution (float64) at uniforms [N] in [0, 1): int64 [N]. Never an id
/// at -inf.
at::Tensor sample_tokens(const at::Tensor& scores_NV, const at::Tensor& uniforms_N);

}  // namespace lriad

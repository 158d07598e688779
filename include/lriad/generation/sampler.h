#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lriad {

/// The distribution that tokens are sampled from. A model's generation_config.json has no influence on it.
struct SamplerSettings {
  double temperature = 1.0;     ///< >= 0; 0 is greedy: the highest score, the lowest id among equal ones
  int64_t top_k = 0;            ///< 0: off
  double top_p = 1.0;           ///< in (0, 1]; 1: off
  double min_p = 0.0;           ///< in [0, 1], as a share of the largest probability; 0: off
  std::vector<int64_t> banned;  ///< ids that are never sampled; those beyond the vocabulary are ignored
};

/// Samples tokens of one vocabulary. What it needs on the device of the logits is copied there once.
class Sampler {
 public:
  Sampler(const SamplerSettings& settings, int64_t vocab_size, const at::Device& device);

  /// Scores whose softmax is the sampler's distribution; removed tokens are at -inf. Applies bans, temperature (none if
  /// it is 0), top-k, top-p and min-p in this order. logits [N, V] of any float dtype -> [N, V] float32 (float64 for
  /// float64). Ties as in transformers: all tokens equal to the k-th score stay; at the limit of top-p those with
  /// higher ids stay. Source: transformers, generation/logits_process.py.
  at::Tensor scores(const at::Tensor& logits_NV) const;

  /// One id per row, int64 [N]: at temperature 0 that of the highest score, else that of sample_tokens().
  at::Tensor sample(const at::Tensor& scores_NV, const at::Tensor& uniforms_N) const;

  const at::Tensor& banned() const { return banned_; }  ///< ids on the device; undefined: none

 private:
  SamplerSettings settings_;
  at::Tensor banned_;  ///< ids of the vocabulary; undefined: none
};

/// Samples one id per row by inverting the cumulative distribution (in float64) at uniforms [N] in [0, 1). Returns
/// int64 [N]; never an id whose score is -inf.
at::Tensor sample_tokens(const at::Tensor& scores_NV, const at::Tensor& uniforms_N);

}  // namespace lriad

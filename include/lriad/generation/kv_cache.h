#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lriad/model/attention.h"
#include "lriad/model/layers.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// Keys and values of one layer: of the prompts [J, K, longest prompt, D], of the completions [J G, K, max_new_tokens,
/// D].
struct CacheBuffers {
  at::Tensor prompt_keys, prompt_values, keys, values;
};

/// Keys and values of J prompts, each stored once, and of G completions per prompt, in static buffers of
/// `max_new_tokens` positions. Sequence j G + g is completion g of prompt j; all J G sequences are decoded together.
/// A sequence attends to its prompt and its own earlier tokens only. Sequences that have ended are still computed, and
/// their results ignored, until keep() drops them.
class KvCache {
 public:
  KvCache(const TextConfig& config, std::vector<int64_t> prompt_lengths, int64_t rows_per_prompt,
          int64_t max_new_tokens, const at::TensorOptions& options);

  /// Attention for the packed pass over all prompts (one span per prompt, in order); stores their keys and values.
  Attend prefill(const std::vector<RowSpan>& spans);
  /// Attention for the pass over token `token_index` (0 is the first after the prompt) of all sequences, in order.
  Attend decode(int64_t token_index);
  /// Keeps only these prompts and sequences, given by their present indices: new sequence j G' + g, with
  /// G' = rows_per_prompt, is the present sequences_C[j G' + g], which must belong to prompt prompts_J[j].
  void keep(const at::Tensor& prompts_J, const at::Tensor& sequences_C, int64_t rows_per_prompt);

  CacheBuffers buffers(int64_t layer) const;
  const std::vector<int64_t>& prompt_lengths() const { return prompt_lengths_; }

 private:
  void store_prompts(int64_t layer, const std::vector<RowSpan>& spans, const at::Tensor& k_TKD,
                     const at::Tensor& v_TKD);
  at::Tensor attend(int64_t layer, int64_t token_index, const at::Tensor& q_CHD, const at::Tensor& k_CKD,
                    const at::Tensor& v_CKD);

  int64_t num_attention_heads_, rows_per_prompt_;
  std::vector<int64_t> prompt_lengths_;                  ///< as they were before keep()
  std::vector<at::Tensor> prompt_keys_, prompt_values_;  ///< per layer: [J, K, longest prompt, D]
  std::vector<at::Tensor> own_keys_, own_values_;        ///< per layer: [J G, K, max_new_tokens, D]
  at::Tensor prompt_mask_;  ///< [J, 1, 1, longest prompt]: -inf after the end of shorter prompts; undefined if all
                            ///< prompts have the same length
};

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lriad/model/attention.h"
#include "lriad/model/layers.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// Keys and values of J prompts, each stored once, and of G rows after each prompt, in static buffers of
/// `max_new_tokens` places a row. The J x G sequences decode in step: sequence j G + g is row g of prompt j. A sequence
/// sees its prompt and its own earlier tokens, never another sequence; sequences whose row has ended are computed and
/// ignored until keep() drops them.
class KvCache {
 public:
  KvCache(const TextConfig& config, std::vector<int64_t> prompt_lengths, int64_t rows_per_prompt,
          int64_t max_new_tokens, const at::TensorOptions& options);

  /// Attention for the packed pass over all prompts (spans in the order of the prompts), which fills the prompts' part.
  Attend prefill(const std::vector<RowSpan>& spans);
  /// Attention for the pass over token `token_index` (0 = first after the prompt) of every sequence, in sequence order.
  Attend decode(int64_t token_index);
  /// Keeps only these sequences: prompts[j'] of the old prompts, and sequences[j' G' + g'] of the old sequences, G'
  /// sequences a prompt.
  void keep(const at::Tensor& prompts_J, const at::Tensor& sequences_C, int64_t rows_per_prompt);

 private:
  void store_prompts(int64_t layer, const std::vector<RowSpan>& spans, const at::Tensor& k_TKD,
                     const at::Tensor& v_TKD);
  at::Tensor attend(int64_t layer, int64_t token_index, const at::Tensor& q_CHD, const at::Tensor& k_CKD,
                    const at::Tensor& v_CKD);

  int64_t rows_per_prompt_;
  std::vector<at::Tensor> prompt_keys_, prompt_values_;  ///< a layer: [J, K, longest prompt, D]
  std::vector<at::Tensor> own_keys_, own_values_;        ///< a layer: [J G, K, max_new_tokens, D]
  at::Tensor prompt_mask_;  ///< [J, 1, 1, longest prompt]: -inf behind the end of shorter prompts; undefined if none is
                            ///< shorter
};

}  // namespace lriad

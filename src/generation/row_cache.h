#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lriad/model/attention.h"
#include "lriad/model/layers.h"
#include "lriad/model/model_config.h"

namespace lriad {

/// Keys and values of B rows that begin and end at different times: a row holds a prompt and what came after it, up to
/// `capacity` tokens, and takes the next prompt when it is done.
class RowCache {
 public:
  RowCache(const TextConfig& config, int64_t rows, int64_t capacity, const at::TensorOptions& options);

  /// Attention for the packed pass over new prompts, one span each; stores their keys and values in `rows`.
  Attend prefill(const std::vector<RowSpan>& spans, const std::vector<int64_t>& rows);
  /// Attention for the pass over the next token of every row, whose index is lengths_B [B] (int64, on the device), at
  /// most `longest`.
  Attend decode(const at::Tensor& lengths_B, int64_t longest);
  void grow(int64_t capacity);          ///< to more tokens a row
  void keep(const at::Tensor& rows_B);  ///< int64, on the device

 private:
  at::Tensor attend(std::size_t layer, const at::Tensor& q_BHD, const at::Tensor& mask_BN);

  int64_t num_attention_heads_;
  std::vector<at::Tensor> keys_, values_;  ///< per layer: [B, K, capacity, D]
};

}  // namespace lriad

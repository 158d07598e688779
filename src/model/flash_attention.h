#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "lriad/model/attention.h"

namespace lriad {

/// Which keys each sequence of a pass sees, for one call of flash attention over sequences of different lengths: the
/// keys of a completion are those of its prompt, gathered once more, and its own. Made once a pass, on the device.
struct FlashLayout {
  /// Rows that several sequences see, and where their copies stand among the gathered keys.
  struct Shared {
    int64_t begin = 0, end = 0;  ///< packed rows
    at::Tensor gathered_rows;    ///< [copies * (end - begin)] int64, the own one first
  };
  at::Tensor query_starts, key_starts;  ///< int32 [sequences + 1]
  int64_t most_queries = 0, most_keys = 0;
  at::Tensor key_rows;  ///< int64: packed row of each gathered key
  at::Tensor own_rows;  ///< [T] int64: where the sequence of its own has each packed row among the gathered keys
  std::vector<Shared> shared;
};

/// Whether flash attention computes tensors like these: bfloat16 and float16 on a GPU.
bool flash_serves(const at::TensorOptions& options);

/// Where sequences of these lengths begin and the last one ends: int32 [sequences + 1].
at::Tensor starts_of(const std::vector<int64_t>& lengths, const at::Device& device);

/// Unmasked attention within segments; q, k and v [T, heads, D].
at::Tensor flash_segments(const at::Tensor& q_THD, const at::Tensor& k_THD, const at::Tensor& v_THD,
                          const at::Tensor& starts, int64_t longest);

/// Nothing where flash attention does not serve: on CPUs, for other dtypes than bfloat16 and float16, or if the spans
/// do not cover the rows one after another.
std::optional<FlashLayout> flash_layout(const std::vector<RowSpan>& spans, const at::TensorOptions& options);

struct FlashResult {
  at::Tensor out_THD, log_sum_HT, random_state, unused;  ///< log_sum: float32; the last two: for the backward pass
};
FlashResult flash_forward(const at::Tensor& q_THD, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                          const FlashLayout& layout);

struct FlashGradients {
  at::Tensor q_THD, k_TKD, v_TKD;
};
/// The gradients of a shared row's copies are added up in a fixed order, in float32, without atomics; that of the
/// queries is made by the deterministic variant. So equal runs give equal bits.
FlashGradients flash_backward(const at::Tensor& gradient_THD, const at::Tensor& q_THD, const at::Tensor& k_TKD,
                              const at::Tensor& v_TKD, const FlashResult& result, const FlashLayout& layout);

}  // namespace lriad

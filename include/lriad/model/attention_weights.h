#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lriad {

/// Attention weights of the last `count` rows of the sequence in packed rows [begin, end), over its rows: [count,
/// heads, end - begin], float32 (float64 for a float64 model), 0 for rows after the query's. q [T, heads, D], k [T, kv
/// heads, D]. The weights that packed_attention() mixes the values of these rows by, computed again for them alone.
at::Tensor attention_weights(const at::Tensor& q_THD, const at::Tensor& k_TKD, int64_t begin, int64_t end,
                             int64_t count);

}  // namespace lriad

#include "lriad/model/attention_weights.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "lriad/model/accumulate_dtype.h"

// Shape letters: T packed rows, H query heads, K key heads, R query rows, S rows of the sequence, D head size.
namespace lriad {

at::Tensor attention_weights(const at::Tensor& q_THD, const at::Tensor& k_TKD, int64_t begin, int64_t end,
                             int64_t count) {
  const at::ScalarType dtype = accumulate_dtype(q_THD.scalar_type());
  const int64_t heads = q_THD.size(1), kv_heads = k_TKD.size(1), length = end - begin;
  const at::Tensor q_HRD = q_THD.slice(0, end - count, end).to(dtype).transpose(0, 1);
  const at::Tensor k_KSD = k_TKD.slice(0, begin, end).to(dtype).transpose(0, 1);
  const at::Tensor k_HSD = k_KSD.repeat_interleave(heads / kv_heads, 0);
  at::Tensor scores_HRS = at::matmul(q_HRD, k_HSD.transpose(1, 2)) / std::sqrt(static_cast<double>(q_THD.size(2)));
  const at::Tensor future_RS =
      at::ones({count, length}, scores_HRS.options().dtype(at::kBool)).triu(length - count + 1);
  scores_HRS.masked_fill_(future_RS, -std::numeric_limits<double>::infinity());
  return scores_HRS.softmax(-1).transpose(0, 1);
}

}  // namespace lriad

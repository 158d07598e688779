#include "row_cache.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "lriad/model/accumulate_dtype.h"

// Shape letters: B rows, T tokens of new prompts, K key heads, R query heads per key head, N tokens of the longest row,
// D head size.
namespace lriad {

RowCache::RowCache(const TextConfig& config, int64_t rows, int64_t capacity, const at::TensorOptions& options)
    : num_attention_heads_(config.num_attention_heads) {
  // Zeros instead of uninitialised memory: a NaN at a masked position would spread.
  const auto make = [&] { return at::zeros({rows, config.num_key_value_heads, capacity, config.head_dim}, options); };
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    keys_.push_back(make());
    values_.push_back(make());
  }
}

Attend RowCache::prefill(const std::vector<RowSpan>& spans, const std::vector<int64_t>& rows) {
  const auto layout = attention_layout(spans, num_attention_heads_, keys_.front().device());
  return [this, spans, rows, layout](int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    for (std::size_t j = 0; j < spans.size(); ++j) {
      const auto store = [&](at::Tensor& target, const at::Tensor& x_TKD) {
        const at::Tensor row = target[rows[j]];
        row.slice(1, 0, spans[j].size()).copy_(x_TKD.slice(0, spans[j].begin, spans[j].end).transpose(0, 1));
        row.slice(1, spans[j].size()).zero_();
      };
      store(keys_[static_cast<std::size_t>(layer)], k);
      store(values_[static_cast<std::size_t>(layer)], v);
    }
    return packed_attention(q, k, v, layout);
  };
}

Attend RowCache::decode(const at::Tensor& lengths_B, int64_t longest) {
  const at::TensorOptions sums = keys_.front().options().dtype(accumulate_dtype(keys_.front().scalar_type()));
  const at::Tensor behind = at::arange(longest + 1, lengths_B.options()) > lengths_B.unsqueeze(1);
  const at::Tensor mask = at::zeros(behind.sizes(), sums).masked_fill(behind, -std::numeric_limits<double>::infinity());
  return [this, lengths_B, mask](int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    const auto index = static_cast<std::size_t>(layer);
    const at::Tensor newest_row = lengths_B.view({-1, 1, 1, 1}).expand({-1, k.size(1), 1, k.size(2)});
    keys_[index].scatter_(2, newest_row, k.unsqueeze(2));
    values_[index].scatter_(2, newest_row, v.unsqueeze(2));
    return attend(index, q, mask);
  };
}

at::Tensor RowCache::attend(std::size_t layer, const at::Tensor& q_BHD, const at::Tensor& mask_BN) {
  const int64_t B = q_BHD.size(0), N = mask_BN.size(1);
  const at::Tensor keys = keys_[layer].slice(2, 0, N), values = values_[layer].slice(2, 0, N);
  const int64_t K = keys.size(1), D = keys.size(3), R = q_BHD.size(1) / K;
  const at::Tensor q = q_BHD.reshape({B * K, R, D}) * (1 / std::sqrt(static_cast<double>(D)));
  const at::Tensor scores =
      at::bmm(q, keys.flatten(0, 1).transpose(1, 2)).to(mask_BN.scalar_type()).view({B, K, R, N}) +
      mask_BN.view({B, 1, 1, N});
  const at::Tensor weights = at::softmax(scores, -1).to(q.scalar_type());
  return at::bmm(weights.view({B * K, R, N}), values.flatten(0, 1)).view({B, K * R, D});
}

void RowCache::grow(int64_t capacity) {
  for (std::vector<at::Tensor>* all : {&keys_, &values_}) {
    for (at::Tensor& x : *all) x = at::constant_pad_nd(x, {0, 0, 0, capacity - x.size(2)});
  }
}

void RowCache::keep(const at::Tensor& rows_B) {
  for (std::vector<at::Tensor>* all : {&keys_, &values_}) {
    for (at::Tensor& x : *all) x = x.index_select(0, rows_B);
  }
}

}  // namespace lriad

#include "lriad/generation/kv_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lriad/model/accumulate_dtype.h"

// Shape letters: J prompts, G completions per prompt, C = J G sequences, K key heads, R query heads per key head,
// P longest prompt, N own tokens so far, D head size.
namespace lriad {
namespace {

at::Tensor length_mask(const std::vector<int64_t>& lengths, int64_t longest, const at::TensorOptions& options) {
  const auto count = static_cast<int64_t>(lengths.size());
  at::Tensor mask = at::zeros({count, 1, 1, longest}, options);
  for (int64_t j = 0; j < count; ++j) {
    mask[j].slice(-1, lengths[static_cast<std::size_t>(j)]).fill_(-std::numeric_limits<double>::infinity());
  }
  return mask;
}

}  // namespace

KvCache::KvCache(const TextConfig& config, std::vector<int64_t> prompt_lengths, int64_t rows_per_prompt,
                 int64_t max_new_tokens, const at::TensorOptions& options)
    : num_attention_heads_(config.num_attention_heads),
      rows_per_prompt_(rows_per_prompt),
      prompt_lengths_(std::move(prompt_lengths)) {
  const auto prompts = static_cast<int64_t>(prompt_lengths_.size());
  const int64_t longest = *std::max_element(prompt_lengths_.begin(), prompt_lengths_.end());
  const int64_t heads = config.num_key_value_heads;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    // Zeros instead of uninitialised memory: a NaN at a masked position would spread.
    prompt_keys_.push_back(at::zeros({prompts, heads, longest, config.head_dim}, options));
    prompt_values_.push_back(at::zeros({prompts, heads, longest, config.head_dim}, options));
    own_keys_.push_back(at::empty({prompts * rows_per_prompt, heads, max_new_tokens, config.head_dim}, options));
    own_values_.push_back(at::empty({prompts * rows_per_prompt, heads, max_new_tokens, config.head_dim}, options));
  }
  const int64_t shortest = *std::min_element(prompt_lengths_.begin(), prompt_lengths_.end());
  if (shortest < longest)
    prompt_mask_ = length_mask(prompt_lengths_, longest, options.dtype(accumulate_dtype(own_keys_[0].scalar_type())));
}

Attend KvCache::prefill(const std::vector<RowSpan>& spans) {
  const auto layout = attention_layout(spans, num_attention_heads_, own_keys_.front().options());
  return [this, spans, layout](int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    store_prompts(layer, spans, k, v);
    return packed_attention(q, k, v, layout);
  };
}

Attend KvCache::decode(int64_t token_index) {
  return [this, token_index](int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return attend(layer, token_index, q, k, v);
  };
}

void KvCache::store_prompts(int64_t layer, const std::vector<RowSpan>& spans, const at::Tensor& k_TKD,
                            const at::Tensor& v_TKD) {
  const auto index = static_cast<std::size_t>(layer);
  for (std::size_t j = 0; j < spans.size(); ++j) {
    const auto store = [&](at::Tensor& target, const at::Tensor& x_TKD) {
      const at::Tensor rows = x_TKD.slice(0, spans[j].begin, spans[j].end).transpose(0, 1);
      target[static_cast<int64_t>(j)].slice(1, 0, spans[j].size()).copy_(rows);
    };
    store(prompt_keys_[index], k_TKD);
    store(prompt_values_[index], v_TKD);
  }
}

at::Tensor KvCache::attend(int64_t layer, int64_t token_index, const at::Tensor& q_CHD, const at::Tensor& k_CKD,
                           const at::Tensor& v_CKD) {
  const auto index = static_cast<std::size_t>(layer);
  const at::Tensor &prompt_k = prompt_keys_[index], &prompt_v = prompt_values_[index];
  own_keys_[index].select(2, token_index).copy_(k_CKD);
  own_values_[index].select(2, token_index).copy_(v_CKD);
  const int64_t J = prompt_k.size(0), K = prompt_k.size(1), P = prompt_k.size(2), D = prompt_k.size(3);
  const int64_t G = rows_per_prompt_, R = q_CHD.size(1) / K, N = token_index + 1;
  const at::Tensor own_k = own_keys_[index].slice(2, 0, N).flatten(0, 1),
                   own_v = own_values_[index].slice(2, 0, N).flatten(0, 1);
  const at::Tensor q = q_CHD.view({J, G, K, R, D}) * (1 / std::sqrt(static_cast<double>(D)));
  // All completions of a prompt are multiplied with its keys in one product per key head, so the keys are read once.
  const at::Tensor q_shared = q.transpose(1, 2).reshape({J * K, G * R, D});
  at::Tensor to_prompt = at::bmm(q_shared, prompt_k.flatten(0, 1).transpose(1, 2)).view({J, K, G * R, P});
  const at::Tensor to_own =
      at::bmm(q.reshape({J * G * K, R, D}), own_k.transpose(1, 2)).view({J, G, K, R, N}).transpose(1, 2);
  to_prompt = to_prompt.to(accumulate_dtype(q.scalar_type()));
  if (prompt_mask_.defined()) to_prompt = to_prompt + prompt_mask_;
  const at::Tensor scores =
      at::cat({to_prompt.view({J, K, G, R, P}), to_own.to(accumulate_dtype(q.scalar_type()))}, -1);
  const at::Tensor weights = at::softmax(scores, -1).to(q.scalar_type());
  const at::Tensor from_prompt = at::bmm(weights.slice(-1, 0, P).reshape({J * K, G * R, P}), prompt_v.flatten(0, 1));
  const at::Tensor from_own = at::bmm(weights.slice(-1, P).transpose(1, 2).reshape({J * G * K, R, N}), own_v);
  const at::Tensor out = from_prompt.view({J, K, G, R, D}).transpose(1, 2) + from_own.view({J, G, K, R, D});
  return out.reshape({J * G, K * R, D});
}

CacheBuffers KvCache::buffers(int64_t layer) const {
  const auto index = static_cast<std::size_t>(layer);
  return {prompt_keys_[index], prompt_values_[index], own_keys_[index], own_values_[index]};
}

void KvCache::keep(const at::Tensor& prompts_J, const at::Tensor& sequences_C, int64_t rows_per_prompt) {
  for (std::size_t layer = 0; layer < own_keys_.size(); ++layer) {
    for (at::Tensor* x : {&prompt_keys_[layer], &prompt_values_[layer]}) *x = x->index_select(0, prompts_J);
    for (at::Tensor* x : {&own_keys_[layer], &own_values_[layer]}) *x = x->index_select(0, sequences_C);
  }
  if (prompt_mask_.defined()) prompt_mask_ = prompt_mask_.index_select(0, prompts_J);
  rows_per_prompt_ = rows_per_prompt;
}

}  // namespace lriad

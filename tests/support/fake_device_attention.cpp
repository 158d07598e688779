// Plain versions of the operators of flash attention, which libtorch has for GPUs alone, so that the fake device can
// run them on the host: sequences one after another, the causal mask at the bottom right, several query heads a key
// head.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <limits>
#include <tuple>

#include "lriad/model/accumulate_dtype.h"

// Shape letters: H query heads, K key heads, D head size, N and L rows of one sequence's queries and keys.
namespace lriad {
namespace {

using OptionalTensor = std::optional<at::Tensor>;
using OptionalInt = std::optional<c10::SymInt>;

/// Scores of one sequence and what belongs to them.
struct Sequence {
  int64_t query_begin, query_end, key_begin, key_end;
  at::Tensor q_HND, k_HLD, v_HLD, scores_HNL;

  Sequence(int64_t s, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& query_starts,
           const at::Tensor& key_starts, double scale, bool causal)
      : query_begin(query_starts[s].item<int>()),
        query_end(query_starts[s + 1].item<int>()),
        key_begin(key_starts[s].item<int>()),
        key_end(key_starts[s + 1].item<int>()) {
    const int64_t shared_by = q.size(1) / k.size(1), queries = query_end - query_begin, keys = key_end - key_begin;
    q_HND = heads(q.slice(0, query_begin, query_end));
    k_HLD = heads(k.slice(0, key_begin, key_end)).repeat_interleave(shared_by, 0);
    v_HLD = heads(v.slice(0, key_begin, key_end)).repeat_interleave(shared_by, 0);
    scores_HNL = at::matmul(q_HND, k_HLD.transpose(1, 2)) * scale;
    if (!causal) return;
    const at::Tensor future = at::ones({queries, keys}, at::kBool).triu_(1 + keys - queries);
    scores_HNL.masked_fill_(future, -std::numeric_limits<double>::infinity());
  }

  static at::Tensor heads(const at::Tensor& x) {
    return x.transpose(0, 1).to(accumulate_dtype(x.scalar_type())).contiguous();
  }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> forward(
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const OptionalTensor& query_starts,
    const OptionalTensor& key_starts, c10::SymInt, c10::SymInt, double, bool causal, bool, std::optional<double> scale,
    OptionalInt, OptionalInt, const OptionalTensor&, const OptionalTensor&) {
  at::Tensor out = at::empty_like(q);
  at::Tensor log_sum = at::empty({q.size(1), q.size(0)}, q.options().dtype(accumulate_dtype(q.scalar_type())));
  for (int64_t s = 0; s + 1 < query_starts->size(0); ++s) {
    const Sequence one(s, q, k, v, *query_starts, *key_starts, *scale, causal);
    const at::Tensor result = at::matmul(at::softmax(one.scores_HNL, -1), one.v_HLD);
    out.slice(0, one.query_begin, one.query_end).copy_(result.transpose(0, 1));
    log_sum.slice(1, one.query_begin, one.query_end).copy_(one.scores_HNL.logsumexp(-1));
  }
  const at::Tensor none = at::zeros({0}, at::kLong);
  return {out, log_sum, none, none.clone(), none.clone()};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& gradient, const at::Tensor& q,
                                                        const at::Tensor& k, const at::Tensor& v, const at::Tensor& out,
                                                        const at::Tensor& log_sum, const at::Tensor& query_starts,
                                                        const at::Tensor& key_starts, c10::SymInt, c10::SymInt, double,
                                                        bool causal, const at::Tensor&, const at::Tensor&,
                                                        std::optional<double> scale, OptionalInt, OptionalInt) {
  at::Tensor q_gradient = at::empty_like(q), k_gradient = at::empty_like(k), v_gradient = at::empty_like(v);
  for (int64_t s = 0; s + 1 < query_starts.size(0); ++s) {
    const Sequence one(s, q, k, v, query_starts, key_starts, *scale, causal);
    const auto rows = [&](const at::Tensor& x) { return Sequence::heads(x.slice(0, one.query_begin, one.query_end)); };
    const at::Tensor weights = (one.scores_HNL - log_sum.slice(1, one.query_begin, one.query_end).unsqueeze(-1)).exp();
    const at::Tensor upstream = rows(gradient), along = (upstream * rows(out)).sum(-1, /*keepdim=*/true);
    const at::Tensor inner = weights * (at::matmul(upstream, one.v_HLD.transpose(1, 2)) - along) * *scale;
    q_gradient.slice(0, one.query_begin, one.query_end).copy_(at::matmul(inner, one.k_HLD).transpose(0, 1));
    const auto store = [&](const at::Tensor& target, const at::Tensor& x_HLD) {
      const at::Tensor summed = x_HLD.unflatten(0, {k.size(1), -1}).sum(1);
      target.slice(0, one.key_begin, one.key_end).copy_(summed.transpose(0, 1));
    };
    store(k_gradient, at::matmul(inner.transpose(1, 2), one.q_HND));
    store(v_gradient, at::matmul(weights.transpose(1, 2), upstream));
  }
  return {q_gradient, k_gradient, v_gradient};
}

TORCH_LIBRARY_IMPL(aten, CPU, library) {
  library.impl("_flash_attention_forward", &forward);
  library.impl("_flash_attention_backward", &backward);
}

}  // namespace
}  // namespace lriad

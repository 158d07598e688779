#include "lriad/model/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "lriad/model/accumulate_dtype.h"

// Shape letters: T packed rows, H query heads, K key heads, Q query heads of a key head (H = K Q), D head size. Of a
// piece: N sequences, R rows each, P prefix rows before them.
namespace lriad {
namespace {

/// Queries that are computed together: N x R rows that see P rows before them and their own up to each row. Shorter
/// sequences repeat their last row; what is computed there is dropped.
struct AttentionTile {
  int64_t prefix_begin = 0, prefix_end = 0;
  at::Tensor rows_NR;   ///< packed row in each slot of the tile
  at::Tensor valid_M;   ///< slots (n R + r) that are rows of their own
  at::Tensor target_M;  ///< their packed rows
};

AttentionTile make_piece(const RowSpan& prefix, const std::vector<RowSpan>& sequences, const at::Device& device) {
  int64_t longest = 0;
  for (const RowSpan& one : sequences) longest = std::max(longest, one.size());
  std::vector<int64_t> rows, valid, target;
  for (const RowSpan& one : sequences) {
    for (int64_t r = 0; r < longest; ++r) {
      if (r < one.size()) {
        valid.push_back(static_cast<int64_t>(rows.size()));
        target.push_back(one.begin + r);
      }
      rows.push_back(std::min(one.begin + r, one.end - 1));
    }
  }
  const auto tensor = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(device); };
  return {prefix.begin, prefix.end, tensor(rows).view({-1, longest}), tensor(valid), tensor(target)};
}

/// Prompts in blocks of rows, completions together with the others of their prompt as far as memory allows.
std::vector<AttentionTile> make_pieces(const std::vector<RowSpan>& spans, int64_t num_heads, const at::Device& device) {
  std::vector<AttentionTile> pieces;
  std::map<int64_t, std::vector<RowSpan>> by_prefix;
  for (const RowSpan& span : spans) {
    if (span.prefix >= 0) {
      by_prefix[span.prefix].push_back(span);
      continue;
    }
    for (int64_t begin = span.begin; begin < span.end; begin += kPromptBlock) {
      const RowSpan block{begin, std::min(span.end, begin + kPromptBlock)};
      pieces.push_back(make_piece({span.begin, begin}, {block}, device));
    }
  }
  for (const auto& [prefix, sequences] : by_prefix) {
    const RowSpan& before = spans.at(static_cast<std::size_t>(prefix));
    int64_t longest = 0;
    for (const RowSpan& one : sequences) longest = std::max(longest, one.size());
    const int64_t scores = num_heads * longest * (before.size() + longest);
    const auto step = static_cast<std::ptrdiff_t>(std::max<int64_t>(1, kScoresAtOnce / scores));
    for (auto next = sequences.begin(); next != sequences.end();) {
      const auto end = sequences.end() - next > step ? next + step : sequences.end();
      pieces.push_back(make_piece(before, {next, end}, device));
      next = end;
    }
  }
  return pieces;
}

/// Scores and products of one piece, in the dtype of the sums.
class AttentionTileMath {
 public:
  AttentionTileMath(const AttentionTile& piece, const at::Tensor& q_THD, const at::Tensor& k_TKD,
                    const at::Tensor& v_TKD)
      : piece_(piece),
        N_(piece.rows_NR.size(0)),
        R_(piece.rows_NR.size(1)),
        P_(piece.prefix_end - piece.prefix_begin),
        K_(k_TKD.size(1)),
        Q_(q_THD.size(1) / k_TKD.size(1)),
        D_(q_THD.size(2)),
        scale_(1 / std::sqrt(static_cast<double>(D_))),
        dtype_(accumulate_dtype(q_THD.scalar_type())),
        q_(queries(q_THD)),
        own_k_(own_rows(k_TKD)),
        own_v_(own_rows(v_TKD)),
        prefix_k_(prefix_rows(k_TKD)),
        prefix_v_(prefix_rows(v_TKD)) {}

  /// Of a tensor [T, H, D] (or [T, H, 1]) the piece's rows: [K, N, R, Q, D].
  at::Tensor queries(const at::Tensor& x_THD) const {
    const at::Tensor rows = x_THD.index_select(0, piece_.rows_NR.flatten()).to(dtype_);
    return rows.view({N_, R_, K_, Q_, -1}).permute({2, 0, 1, 3, 4});
  }

  /// [K, N, R, Q, P + R], -inf where a row must not look.
  at::Tensor scores() const {
    at::Tensor own = by_sequence(q_, own_k_.transpose(1, 2)).mul_(scale_);
    const at::Tensor hidden = at::ones({R_, R_}, own.options().dtype(at::kBool)).triu(1).unsqueeze(1);
    own.masked_fill_(hidden, -std::numeric_limits<double>::infinity());
    if (P_ == 0) return own;
    return at::cat({by_head(q_, prefix_k_.transpose(1, 2)).mul_(scale_), own}, -1);
  }

  /// weights [K, N, R, Q, P + R] times the values of all keys.
  at::Tensor mix_values(const at::Tensor& weights) const {
    const at::Tensor own = by_sequence(weights.slice(-1, P_), own_v_);
    return P_ == 0 ? own : own + by_head(weights.slice(-1, 0, P_), prefix_v_);
  }

  /// x [K, N, R, Q, D] against the values of all keys: [K, N, R, Q, P + R].
  at::Tensor against_values(const at::Tensor& x) const {
    const at::Tensor own = by_sequence(x, own_v_.transpose(1, 2));
    return P_ == 0 ? own : at::cat({by_head(x, prefix_v_.transpose(1, 2)), own}, -1);
  }

  at::Tensor mix_keys(const at::Tensor& weights) const {
    const at::Tensor own = by_sequence(weights.slice(-1, P_), own_k_);
    return (P_ == 0 ? own : own + by_head(weights.slice(-1, 0, P_), prefix_k_)) * scale_;
  }

  /// Adds weights^T x, summed over the queries, to the rows of `target` [T, K, D] that the keys stand on.
  void add_to_keys(at::Tensor& target, const at::Tensor& weights, const at::Tensor& x, double factor) const {
    const at::Tensor own = at::bmm(sequences_first(weights.slice(-1, P_)).transpose(1, 2), sequences_first(x));
    const at::Tensor rows = own.view({N_, K_, R_, D_}).transpose(1, 2).reshape({N_ * R_, K_, D_});
    target.index_add_(0, piece_.target_M, rows.index_select(0, piece_.valid_M), factor);
    if (P_ == 0) return;
    const at::Tensor prefix = at::bmm(heads_first(weights.slice(-1, 0, P_)).transpose(1, 2), heads_first(x));
    target.slice(0, piece_.prefix_begin, piece_.prefix_end).add_(prefix.transpose(0, 1), factor);
  }

  /// Writes x [K, N, R, Q, D] to the piece's own rows of `target` [T, H, D].
  void store(at::Tensor& target, const at::Tensor& x) const {
    const at::Tensor rows = x.permute({1, 2, 0, 3, 4}).reshape({N_ * R_, K_ * Q_, x.size(-1)});
    target.index_copy_(0, piece_.target_M, rows.index_select(0, piece_.valid_M).to(target.scalar_type()));
  }

  /// 1 where a slot holds a row of its own, else 0: [1, N, R, 1, 1].
  at::Tensor valid() const {
    return at::zeros({N_ * R_}, q_.options()).index_fill_(0, piece_.valid_M, 1).view({1, N_, R_, 1, 1});
  }

  const at::Tensor& q() const { return q_; }

 private:
  at::Tensor own_rows(const at::Tensor& x_TKD) const {
    const at::Tensor rows = x_TKD.index_select(0, piece_.rows_NR.flatten()).to(dtype_).view({N_, R_, K_, D_});
    return rows.transpose(1, 2).reshape({N_ * K_, R_, D_});
  }
  at::Tensor prefix_rows(const at::Tensor& x_TKD) const {
    return x_TKD.slice(0, piece_.prefix_begin, piece_.prefix_end).to(dtype_).transpose(0, 1);
  }
  at::Tensor heads_first(const at::Tensor& x) const { return x.reshape({K_, N_ * R_ * Q_, x.size(-1)}); }
  at::Tensor sequences_first(const at::Tensor& x) const {
    return x.transpose(0, 1).reshape({N_ * K_, R_ * Q_, x.size(-1)});
  }
  /// One product per key head over all sequences: the prefix is read once.
  at::Tensor by_head(const at::Tensor& x, const at::Tensor& other) const {
    return at::bmm(heads_first(x), other).view({K_, N_, R_, Q_, other.size(-1)});
  }
  at::Tensor by_sequence(const at::Tensor& x, const at::Tensor& other) const {
    return at::bmm(sequences_first(x), other).view({N_, K_, R_, Q_, other.size(-1)}).transpose(0, 1);
  }

  const AttentionTile& piece_;
  int64_t N_, R_, P_, K_, Q_, D_;
  double scale_;
  at::ScalarType dtype_;
  at::Tensor q_, own_k_, own_v_, prefix_k_, prefix_v_;
};

struct SpanHolder : torch::CustomClassHolder {
  explicit SpanHolder(std::vector<RowSpan> given) : spans(std::move(given)) {}
  std::vector<RowSpan> spans;
};

/// Saves q, k, v, the result and one number a row and head; the probabilities are made again in the backward pass:
/// p = exp(s - L), dV = p^T dO, dS = p (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q (FlashAttention-2).
struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q_THD, const at::Tensor& k_TKD,
                            const at::Tensor& v_TKD, const std::vector<RowSpan>& spans) {
    at::Tensor out_THD = at::empty_like(q_THD);
    at::Tensor log_sum_TH1 =
        at::empty({q_THD.size(0), q_THD.size(1), 1}, q_THD.options().dtype(accumulate_dtype(q_THD.scalar_type())));
    for (const AttentionTile& piece : make_pieces(spans, q_THD.size(1), q_THD.device())) {
      const AttentionTileMath math(piece, q_THD, k_TKD, v_TKD);
      at::Tensor scores = math.scores();
      const at::Tensor log_sum = scores.logsumexp(-1, /*keepdim=*/true);
      math.store(out_THD, math.mix_values(scores.sub_(log_sum).exp_()));
      math.store(log_sum_TH1, log_sum);
    }
    context->save_for_backward({q_THD, k_TKD, v_TKD, out_THD, log_sum_TH1});
    context->saved_data["spans"] = c10::IValue::make_capsule(c10::make_intrusive<SpanHolder>(spans));
    return out_THD;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &q_THD = saved[0], &k_TKD = saved[1], &v_TKD = saved[2], &out_THD = saved[3],
                     &log_sum_TH1 = saved[4];
    const auto holder = c10::static_intrusive_pointer_cast<SpanHolder>(context->saved_data["spans"].toCapsule());
    at::Tensor q_gradient = at::empty_like(q_THD);
    at::Tensor k_gradient = at::zeros(k_TKD.sizes(), log_sum_TH1.options()), v_gradient = at::zeros_like(k_gradient);
    const at::Tensor along_TH1 = (gradients[0].to(log_sum_TH1.scalar_type()) * out_THD).sum(-1, /*keepdim=*/true);
    for (const AttentionTile& piece : make_pieces(holder->spans, q_THD.size(1), q_THD.device())) {
      const AttentionTileMath math(piece, q_THD, k_TKD, v_TKD);
      const at::Tensor upstream = math.queries(gradients[0]) * math.valid();
      const at::Tensor weights = math.scores().sub_(math.queries(log_sum_TH1)).exp_();
      math.add_to_keys(v_gradient, weights, upstream, 1);
      const at::Tensor inner = math.against_values(upstream).sub_(math.queries(along_TH1) * math.valid()).mul_(weights);
      math.store(q_gradient, math.mix_keys(inner));
      math.add_to_keys(k_gradient, inner, math.q(), 1 / std::sqrt(static_cast<double>(q_THD.size(2))));
    }
    return {q_gradient, k_gradient.to(k_TKD.scalar_type()), v_gradient.to(v_TKD.scalar_type()), at::Tensor()};
  }
};

/// [T, H, D] -> [1, H, T, D], the layout of the attention operator; and back.
at::Tensor heads_first(const at::Tensor& x_THD) { return x_THD.transpose(0, 1).unsqueeze(0); }
at::Tensor rows_first(const at::Tensor& x_1HTD) { return x_1HTD.squeeze(0).transpose(0, 1); }

}  // namespace

at::Tensor packed_attention(const at::Tensor& q_THD, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                            const std::vector<RowSpan>& spans) {
  return PackedAttention::apply(q_THD, k_TKD, v_TKD, spans);
}

at::Tensor segment_attention(const at::Tensor& q_THD, const at::Tensor& k_THD, const at::Tensor& v_THD,
                             const std::vector<int64_t>& lengths) {
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    const auto rows = [&](const at::Tensor& x) { return heads_first(x.slice(0, begin, begin + length)); };
    parts.push_back(rows_first(at::scaled_dot_product_attention(rows(q_THD), rows(k_THD), rows(v_THD))));
    begin += length;
  }
  return at::cat(parts);
}

}  // namespace lriad

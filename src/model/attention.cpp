#include "lriad/model/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention_layout.h"
#include "flash_attention.h"
#include "lriad/model/accumulate_dtype.h"

// Shape letters: T packed rows, H query heads, K key heads, Q query heads of a key head (H = K Q), D head size. Of a
// tile: N sequences, R rows each, P prefix rows before them.
namespace lriad {
namespace {

/// Scores and products of one tile, in the dtype of the sums.
class AttentionTileMath {
 public:
  AttentionTileMath(const AttentionTile& tile, const at::Tensor& future_LL, const at::Tensor& q_THD,
                    const at::Tensor& k_TKD, const at::Tensor& v_TKD)
      : tile_(tile),
        N_(tile.num_sequences),
        R_(tile.num_rows),
        P_(tile.num_prefix_rows()),
        K_(k_TKD.size(1)),
        Q_(q_THD.size(1) / k_TKD.size(1)),
        D_(q_THD.size(2)),
        scale_(1 / std::sqrt(static_cast<double>(D_))),
        dtype_(accumulate_dtype(q_THD.scalar_type())),
        future_R1R_(future_LL.slice(0, 0, R_).slice(1, 0, R_).unsqueeze(1)),
        q_(queries(q_THD)),
        own_k_(own_rows(k_TKD)),
        own_v_(own_rows(v_TKD)),
        prefix_k_(prefix_rows(k_TKD)),
        prefix_v_(prefix_rows(v_TKD)) {}

  /// Of a tensor [T, H, D] (or [T, H, 1]) the tile's rows: [K, N, R, Q, D].
  at::Tensor queries(const at::Tensor& x_THD) const {
    return slots(x_THD).reshape({N_, R_, K_, Q_, -1}).permute({2, 0, 1, 3, 4});
  }

  /// [K, N, R, Q, P + R], -inf where a row must not look.
  at::Tensor scores() const {
    at::Tensor own = by_sequence(q_, own_k_.transpose(1, 2)).mul_(scale_);
    own.masked_fill_(future_R1R_, -std::numeric_limits<double>::infinity());
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
    const at::Tensor sums = at::bmm(sequences_first(weights.slice(-1, P_)).transpose(1, 2), sequences_first(x));
    const at::Tensor rows = sums.view({N_, K_, R_, D_}).transpose(1, 2).reshape({N_ * R_, K_, D_});
    if (tile_.is_one_sequence()) {
      target.slice(0, tile_.begin, tile_.begin + R_).add_(rows, factor);
    } else {
      target.index_add_(0, tile_.target_M, own(rows), factor);
    }
    if (P_ == 0) return;
    const at::Tensor prefix = at::bmm(heads_first(weights.slice(-1, 0, P_)).transpose(1, 2), heads_first(x));
    target.slice(0, tile_.prefix_begin, tile_.prefix_end).add_(prefix.transpose(0, 1), factor);
  }

  /// Writes x [K, N, R, Q, D] to the tile's own rows of `target` [T, H, D].
  void store(at::Tensor& target, const at::Tensor& x) const {
    const at::Tensor rows = x.permute({1, 2, 0, 3, 4}).reshape({N_ * R_, K_ * Q_, x.size(-1)});
    if (tile_.is_one_sequence()) {
      target.slice(0, tile_.begin, tile_.begin + R_).copy_(rows);
    } else {
      target.index_copy_(0, tile_.target_M, own(rows).to(target.scalar_type()));
    }
  }

  /// x [K, N, R, Q, D] with 0 in slots that hold no row of their own.
  at::Tensor without_padding(const at::Tensor& x) const {
    return tile_.padding_1NR11.defined() ? x.masked_fill(tile_.padding_1NR11, 0) : x;
  }

  const at::Tensor& q() const { return q_; }

 private:
  /// Rows of x [T, ...] in the tile's slots.
  at::Tensor slots(const at::Tensor& x) const {
    const at::Tensor rows =
        tile_.is_one_sequence() ? x.slice(0, tile_.begin, tile_.begin + R_) : x.index_select(0, tile_.rows);
    return rows.to(dtype_);
  }
  /// Of rows in all slots those of their own.
  at::Tensor own(const at::Tensor& rows) const {
    return tile_.padding_1NR11.defined() ? rows.index_select(0, tile_.own_M) : rows;
  }
  at::Tensor own_rows(const at::Tensor& x_TKD) const {
    return slots(x_TKD).reshape({N_, R_, K_, D_}).transpose(1, 2).reshape({N_ * K_, R_, D_});
  }
  at::Tensor prefix_rows(const at::Tensor& x_TKD) const {
    return x_TKD.slice(0, tile_.prefix_begin, tile_.prefix_end).to(dtype_).transpose(0, 1);
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

  const AttentionTile& tile_;
  int64_t N_, R_, P_, K_, Q_, D_;
  double scale_;
  at::ScalarType dtype_;
  at::Tensor future_R1R_;
  at::Tensor q_, own_k_, own_v_, prefix_k_, prefix_v_;
};

using Layout = std::shared_ptr<const AttentionLayout>;

struct LayoutHolder : torch::CustomClassHolder {
  explicit LayoutHolder(Layout given) : layout(std::move(given)) {}
  Layout layout;
};

/// Saves q, k, v, the result and one number a row and head; the probabilities are made again in the backward pass:
/// p = exp(s - L), dV = p^T dO, dS = p (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q (FlashAttention-2).
struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q_THD, const at::Tensor& k_TKD,
                            const at::Tensor& v_TKD, const Layout& layout) {
    context->saved_data["layout"] = c10::IValue::make_capsule(c10::make_intrusive<LayoutHolder>(layout));
    if (layout->flash) {
      const FlashResult flash = flash_forward(q_THD, k_TKD, v_TKD, *layout->flash);
      context->save_for_backward(
          {q_THD, k_TKD, v_TKD, flash.out_THD, flash.log_sum_HT, flash.random_state, flash.unused});
      return flash.out_THD;
    }
    at::Tensor out_THD = at::empty_like(q_THD);
    at::Tensor log_sum_TH1 =
        at::empty({q_THD.size(0), q_THD.size(1), 1}, q_THD.options().dtype(accumulate_dtype(q_THD.scalar_type())));
    for (const AttentionTile& tile : layout->tiles) {
      const AttentionTileMath math(tile, layout->future_LL, q_THD, k_TKD, v_TKD);
      at::Tensor scores = math.scores();
      const at::Tensor highest = scores.amax(-1, /*keepdim=*/true);
      const at::Tensor weights = scores.sub_(highest).exp_();
      const at::Tensor sum = weights.sum(-1, /*keepdim=*/true);
      math.store(out_THD, math.mix_values(weights).div_(sum));
      math.store(log_sum_TH1, sum.log().add_(highest));
    }
    context->save_for_backward({q_THD, k_TKD, v_TKD, out_THD, log_sum_TH1});
    return out_THD;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &q_THD = saved[0], &k_TKD = saved[1], &v_TKD = saved[2], &out_THD = saved[3],
                     &log_sum_TH1 = saved[4];
    const auto holder = c10::static_intrusive_pointer_cast<LayoutHolder>(context->saved_data["layout"].toCapsule());
    if (holder->layout->flash) {
      const FlashResult flash{saved[3], saved[4], saved[5], saved[6]};
      const FlashGradients of = flash_backward(gradients[0], q_THD, k_TKD, v_TKD, flash, *holder->layout->flash);
      return {of.q_THD, of.k_TKD, of.v_TKD, at::Tensor()};
    }
    at::Tensor q_gradient = at::empty_like(q_THD);
    at::Tensor k_gradient = at::zeros(k_TKD.sizes(), log_sum_TH1.options()), v_gradient = at::zeros_like(k_gradient);
    const at::Tensor along_TH1 = (gradients[0].to(log_sum_TH1.scalar_type()) * out_THD).sum(-1, /*keepdim=*/true);
    for (const AttentionTile& tile : holder->layout->tiles) {
      const AttentionTileMath math(tile, holder->layout->future_LL, q_THD, k_TKD, v_TKD);
      const at::Tensor upstream = math.without_padding(math.queries(gradients[0]));
      const at::Tensor weights = math.scores().sub_(math.queries(log_sum_TH1)).exp_();
      math.add_to_keys(v_gradient, weights, upstream, 1);
      const at::Tensor inner =
          math.against_values(upstream).sub_(math.without_padding(math.queries(along_TH1))).mul_(weights);
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
                            const std::shared_ptr<const AttentionLayout>& layout) {
  return PackedAttention::apply(q_THD, k_TKD, v_TKD, layout);
}

Segments make_segments(std::vector<int64_t> lengths, const at::TensorOptions& options) {
  Segments segments{std::move(lengths), {}};
  if (flash_serves(options)) segments.starts = starts_of(segments.lengths, options.device());
  return segments;
}

at::Tensor segment_attention(const at::Tensor& q_THD, const at::Tensor& k_THD, const at::Tensor& v_THD,
                             const Segments& segments) {
  const bool trained = at::GradMode::is_enabled() && q_THD.requires_grad();
  if (segments.starts.defined() && !trained) {
    return flash_segments(q_THD, k_THD, v_THD, segments.starts, std::ranges::max(segments.lengths));
  }
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t length : segments.lengths) {
    const auto rows = [&](const at::Tensor& x) { return heads_first(x.slice(0, begin, begin + length)); };
    parts.push_back(rows_first(at::scaled_dot_product_attention(rows(q_THD), rows(k_THD), rows(v_THD))));
    begin += length;
  }
  return at::cat(parts);
}

}  // namespace lriad

#include "flash_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/deterministic.h"

// Shape letters: T packed rows, H query heads, K key heads, D head size; L gathered keys.
namespace lriad {
namespace {

double scale_of(const at::Tensor& q_THD) { return 1 / std::sqrt(static_cast<double>(q_THD.size(2))); }

/// Gradients [L, K, D] of the gathered keys (or values) to those of the packed rows.
at::Tensor to_rows(const at::Tensor& gradient_LKD, const FlashLayout& layout) {
  at::Tensor rows_TKD = gradient_LKD.index_select(0, layout.own_rows);
  for (const FlashLayout::Shared& shared : layout.shared) {
    const int64_t count = shared.end - shared.begin;
    const at::Tensor copies = gradient_LKD.index_select(0, shared.gathered_rows).unflatten(0, {-1, count});
    rows_TKD.slice(0, shared.begin, shared.end)
        .copy_(copies.sum(0, /*keepdim=*/false, accumulate_dtype(gradient_LKD.scalar_type())));
  }
  return rows_TKD;
}

/// Collects the tables of a layout.
class FlashTables {
 public:
  void add(const RowSpan& span, const std::vector<RowSpan>& spans) {
    const auto begin = std::ssize(key_rows_);
    if (span.prefix >= 0) {
      const RowSpan& prefix = spans.at(static_cast<std::size_t>(span.prefix));
      copies_[span.prefix].push_back(begin);
      add_rows(prefix);
    }
    if (span.prefix < 0) first_copy_.emplace(&span - spans.data(), begin);
    for (int64_t row = span.begin; row < span.end; ++row) own_rows_.push_back(std::ssize(key_rows_) + row - span.begin);
    add_rows(span);
    most_queries_ = std::max(most_queries_, span.size());
    most_keys_ = std::max(most_keys_, std::ssize(key_rows_) - begin);
    query_starts_.push_back(static_cast<int32_t>(span.end));
    key_starts_.push_back(static_cast<int32_t>(std::ssize(key_rows_)));
  }

  FlashLayout finish(const std::vector<RowSpan>& spans, const at::Device& device) const {
    const auto rows = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(device); };
    FlashLayout layout;
    layout.query_starts = at::tensor(query_starts_, at::kInt).to(device);
    layout.key_starts = at::tensor(key_starts_, at::kInt).to(device);
    layout.most_queries = most_queries_;
    layout.most_keys = most_keys_;
    layout.key_rows = rows(key_rows_);
    layout.own_rows = rows(own_rows_);
    for (const auto& [prefix, begins] : copies_) {
      const RowSpan& span = spans.at(static_cast<std::size_t>(prefix));
      std::vector<int64_t> gathered_rows;
      const auto add_copy = [&](int64_t begin) {
        for (int64_t k = 0; k < span.size(); ++k) gathered_rows.push_back(begin + k);
      };
      add_copy(first_copy_.at(prefix));
      std::ranges::for_each(begins, add_copy);
      layout.shared.push_back({span.begin, span.end, rows(gathered_rows)});
    }
    return layout;
  }

 private:
  void add_rows(const RowSpan& span) {
    for (int64_t row = span.begin; row < span.end; ++row) key_rows_.push_back(row);
  }

  std::vector<int64_t> key_rows_, own_rows_;
  std::vector<int32_t> query_starts_ = {0}, key_starts_ = {0};
  std::map<int64_t, std::vector<int64_t>> copies_;  ///< of each prefix: where its copies begin
  std::map<int64_t, int64_t> first_copy_;           ///< of each span without a prefix: where its own keys begin
  int64_t most_queries_ = 0, most_keys_ = 0;
};

}  // namespace

bool flash_serves(const at::TensorOptions& options) {
  const auto dtype = c10::typeMetaToScalarType(options.dtype());
  return options.device().is_cuda() && (dtype == at::kBFloat16 || dtype == at::kHalf);
}

at::Tensor starts_of(const std::vector<int64_t>& lengths, const at::Device& device) {
  std::vector<int32_t> starts = {0};
  for (const int64_t length : lengths) starts.push_back(starts.back() + static_cast<int32_t>(length));
  return at::tensor(starts, at::kInt).to(device);
}

at::Tensor flash_segments(const at::Tensor& q_THD, const at::Tensor& k_THD, const at::Tensor& v_THD,
                          const at::Tensor& starts, int64_t longest) {
  return std::get<0>(at::_flash_attention_forward(
      q_THD, k_THD, v_THD, starts, starts, longest, longest, /*dropout_p=*/0.0, /*is_causal=*/false,
      /*return_debug_mask=*/false, std::optional<double>(scale_of(q_THD)), std::optional<int64_t>(),
      std::optional<int64_t>(), std::optional<at::Tensor>(), std::optional<at::Tensor>()));
}

std::optional<FlashLayout> flash_layout(const std::vector<RowSpan>& spans, const at::TensorOptions& options) {
  if (!flash_serves(options)) return {};
  FlashTables tables;
  int64_t next = 0;
  for (const RowSpan& span : spans) {
    if (span.begin != next || span.size() == 0) return {};
    next = span.end;
    tables.add(span, spans);
  }
  return tables.finish(spans, options.device());
}

FlashResult flash_forward(const at::Tensor& q_THD, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                          const FlashLayout& layout) {
  // The causal mask stands at the bottom right: a completion's first row sees all of its prompt.
  const auto [out, log_sum, random_state, unused, mask] = at::_flash_attention_forward(
      q_THD, k_TKD.index_select(0, layout.key_rows), v_TKD.index_select(0, layout.key_rows), layout.query_starts,
      layout.key_starts, layout.most_queries, layout.most_keys, /*dropout_p=*/0.0, /*is_causal=*/true,
      /*return_debug_mask=*/false, std::optional<double>(scale_of(q_THD)), std::optional<int64_t>(),
      std::optional<int64_t>(), std::optional<at::Tensor>(), std::optional<at::Tensor>());
  return {out, log_sum, random_state, unused};
}

FlashGradients flash_backward(const at::Tensor& gradient_THD, const at::Tensor& q_THD, const at::Tensor& k_TKD,
                              const at::Tensor& v_TKD, const FlashResult& result, const FlashLayout& layout) {
  const at::Tensor k_LKD = k_TKD.index_select(0, layout.key_rows), v_LKD = v_TKD.index_select(0, layout.key_rows);
  const DeterministicOperators deterministic;
  const auto [q_gradient, k_gradient, v_gradient] =
      at::_flash_attention_backward(gradient_THD.contiguous(), q_THD, k_LKD, v_LKD, result.out_THD, result.log_sum_HT,
                                    layout.query_starts, layout.key_starts, layout.most_queries, layout.most_keys,
                                    /*dropout_p=*/0.0, /*is_causal=*/true, result.random_state, result.unused,
                                    std::optional<double>(scale_of(q_THD)));
  return {q_gradient, to_rows(k_gradient, layout), to_rows(v_gradient, layout)};
}

}  // namespace lriad

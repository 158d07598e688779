#include "lriad/model/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

// Shape letters: T rows, H query heads, K key heads, D head size, N spans of one prefix, R longest of them, P prefix rows.
namespace lriad {
namespace {

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::optional<at::Tensor>& mask,
                  bool causal) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  return at::scaled_dot_product_attention(q, k, v, mask, /*dropout_p=*/0.0, causal, scale, q.size(1) != k.size(1));
}

/// [T, H, D] -> [1, H, T, D], the layout of the attention operator; and back.
at::Tensor heads_first(const at::Tensor& x_THD) { return x_THD.transpose(0, 1).unsqueeze(0); }
at::Tensor rows_first(const at::Tensor& x_1HTD) { return x_1HTD.squeeze(0).transpose(0, 1); }

/// For the spans of one prefix: which packed row stands at place (n, r), the last row again where a span has ended.
at::Tensor padded_rows(const std::vector<RowSpan>& group, int64_t longest) {
  at::Tensor rows_NR = at::empty({static_cast<int64_t>(group.size()), longest}, at::kLong);
  auto rows = rows_NR.accessor<int64_t, 2>();
  for (std::size_t n = 0; n < group.size(); ++n) {
    for (int64_t r = 0; r < longest; ++r) {
      rows[static_cast<int64_t>(n)][r] = std::min(group[n].begin + r, group[n].end - 1);
    }
  }
  return rows_NR;
}

/// Spans of one prefix at once: keys are [prefix; own rows], padding stands behind every real row, so the causal mask
/// alone keeps it out.
at::Tensor attend_after_prefix(const at::Tensor& q_THD, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                               const RowSpan& prefix, const at::Tensor& rows_NR) {
  const int64_t count = rows_NR.size(0), longest = rows_NR.size(1), before = prefix.size();
  const auto gather = [&](const at::Tensor& x) {
    return x.index_select(0, rows_NR.flatten()).unflatten(0, {count, longest}).transpose(1, 2);
  };
  const auto with_prefix = [&](const at::Tensor& x) {
    const at::Tensor shared = x.slice(0, prefix.begin, prefix.end).transpose(0, 1).unsqueeze(0);
    return at::cat({shared.expand({count, -1, -1, -1}), gather(x)}, 2);
  };
  const at::Tensor mask = at::ones({longest, before + longest}, q_THD.options().dtype(at::kBool)).tril(before);
  return attend(gather(q_THD), with_prefix(k_TKD), with_prefix(v_TKD), mask, false).transpose(1, 2);
}

}  // namespace

at::Tensor packed_attention(const at::Tensor& q_THD, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                            const std::vector<RowSpan>& spans) {
  std::vector<at::Tensor> parts;
  std::vector<at::Tensor> places;
  std::map<int64_t, std::vector<RowSpan>> by_prefix;
  const auto all_rows = at::arange(q_THD.size(0), at::kLong);
  for (const RowSpan& span : spans) {
    if (span.prefix >= 0) {
      by_prefix[span.prefix].push_back(span);
      continue;
    }
    const auto rows = [&span](const at::Tensor& x) { return heads_first(x.slice(0, span.begin, span.end)); };
    parts.push_back(rows_first(attend(rows(q_THD), rows(k_TKD), rows(v_TKD), std::nullopt, span.size() > 1)));
    places.push_back(all_rows.slice(0, span.begin, span.end));
  }
  for (const auto& [prefix, group] : by_prefix) {
    const auto longest = std::max_element(group.begin(), group.end(), [](auto& a, auto& b) { return a.size() < b.size(); });
    const at::Tensor rows_NR = padded_rows(group, longest->size());
    const auto& before = spans.at(static_cast<std::size_t>(prefix));
    const at::Tensor out_NRHD = attend_after_prefix(q_THD, k_TKD, v_TKD, before, rows_NR.to(q_THD.device()));
    for (std::size_t n = 0; n < group.size(); ++n) {
      parts.push_back(out_NRHD[static_cast<int64_t>(n)].slice(0, 0, group[n].size()));
      places.push_back(all_rows.slice(0, group[n].begin, group[n].end));
    }
  }
  const at::Tensor order = at::cat(places).argsort().to(q_THD.device());
  return at::cat(parts).index_select(0, order);
}

at::Tensor segment_attention(const at::Tensor& q_THD, const at::Tensor& k_THD, const at::Tensor& v_THD,
                             const std::vector<int64_t>& lengths) {
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    const auto rows = [&](const at::Tensor& x) { return heads_first(x.slice(0, begin, begin + length)); };
    parts.push_back(rows_first(attend(rows(q_THD), rows(k_THD), rows(v_THD), std::nullopt, false)));
    begin += length;
  }
  return at::cat(parts);
}

}  // namespace lriad

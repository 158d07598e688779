#include "attention_layout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "lriad/model/attention.h"

namespace lriad {
namespace {

int64_t longest_of(const std::vector<RowSpan>& sequences) {
  return std::ranges::max(sequences, {}, &RowSpan::size).size();
}

AttentionTile make_tile(const RowSpan& prefix, const std::vector<RowSpan>& sequences, const at::Device& device) {
  AttentionTile tile;
  tile.prefix_begin = prefix.begin;
  tile.prefix_end = prefix.end;
  tile.num_sequences = std::ssize(sequences);
  tile.num_rows = longest_of(sequences);
  tile.begin = sequences.front().begin;
  if (tile.is_one_sequence()) return tile;
  std::vector<int64_t> rows, own, target;
  for (const RowSpan& one : sequences) {
    for (int64_t r = 0; r < tile.num_rows; ++r) {
      if (r < one.size()) {
        own.push_back(std::ssize(rows));
        target.push_back(one.begin + r);
      }
      rows.push_back(std::min(one.begin + r, one.end - 1));
    }
  }
  const auto on_device = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(device); };
  tile.rows = on_device(rows);
  tile.own_M = on_device(own);
  tile.target_M = on_device(target);
  if (own.size() == rows.size()) return tile;
  tile.padding_1NR11 = at::ones({std::ssize(rows)}, at::TensorOptions().dtype(at::kBool).device(device))
                           .index_fill_(0, tile.own_M, 0)
                           .view({1, tile.num_sequences, tile.num_rows, 1, 1});
  return tile;
}

/// Prompts in blocks of rows, completions together with the others of their prompt as far as memory allows.
std::vector<AttentionTile> make_tiles(const std::vector<RowSpan>& spans, int64_t num_heads, const at::Device& device) {
  std::vector<AttentionTile> tiles;
  std::map<int64_t, std::vector<RowSpan>> by_prefix;
  for (const RowSpan& span : spans) {
    if (span.prefix >= 0) {
      by_prefix[span.prefix].push_back(span);
      continue;
    }
    for (int64_t begin = span.begin; begin < span.end; begin += kPromptBlock) {
      const RowSpan block{begin, std::min(span.end, begin + kPromptBlock)};
      tiles.push_back(make_tile({span.begin, begin}, {block}, device));
    }
  }
  for (const auto& [prefix, sequences] : by_prefix) {
    const RowSpan& before = spans.at(static_cast<std::size_t>(prefix));
    const int64_t longest = longest_of(sequences);
    const int64_t scores = num_heads * longest * (before.size() + longest);
    const auto step = static_cast<std::ptrdiff_t>(std::max<int64_t>(1, kScoresAtOnce / scores));
    for (auto next = sequences.begin(); next != sequences.end();) {
      const auto end = sequences.end() - next > step ? next + step : sequences.end();
      tiles.push_back(make_tile(before, {next, end}, device));
      next = end;
    }
  }
  return tiles;
}

}  // namespace

std::shared_ptr<const AttentionLayout> attention_layout(const std::vector<RowSpan>& spans, int64_t num_heads,
                                                        const at::TensorOptions& options) {
  AttentionLayout layout;
  const at::Device device = options.device();
  layout.flash = flash_layout(spans, options);
  if (layout.flash) return std::make_shared<const AttentionLayout>(std::move(layout));
  layout.tiles = make_tiles(spans, num_heads, device);
  const int64_t longest = std::ranges::max(layout.tiles, {}, &AttentionTile::num_rows).num_rows;
  layout.future_LL = at::ones({longest, longest}, at::TensorOptions().dtype(at::kBool).device(device)).triu_(1);
  return std::make_shared<const AttentionLayout>(std::move(layout));
}

}  // namespace lriad

#pragma once

#include <span>
#include <vector>

#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// Puts token sequences one after another into PackedTokens.
class RowPacker {
 public:
  explicit RowPacker(int64_t image_token_id) : image_token_id_(image_token_id) {}

  /// Adds a prompt as a span of its own. positions_3T: mrope_positions() of its ids. Its image tokens get
  /// `features_MD`, which is undefined if it has none, or if all features of the pass come later.
  void add_prompt(const std::vector<int64_t>& ids, const at::Tensor& positions_3T, const at::Tensor& features_MD);

  /// Adds tokens at the positions `next`, next + 1, ...: as a span after the span `prefix`, or, if that is -1, as more
  /// rows of the last span. An image token among them is an ordinary token.
  void add_completion(std::span<const int64_t> ids, int64_t next, int64_t prefix);

  int64_t num_rows() const { return static_cast<int64_t>(ids_.size()); }
  int64_t last_span() const { return static_cast<int64_t>(spans_.size()) - 1; }

  /// All that was added, at least one prompt. Ids, positions and feature_rows_M on `device`, features where they are.
  PackedTokens finish(const at::Device& device);

 private:
  int64_t image_token_id_;
  std::vector<int64_t> ids_, feature_rows_;
  std::vector<at::Tensor> positions_, features_;
  std::vector<RowSpan> spans_;
};

}  // namespace lriad

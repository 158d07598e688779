#include "lriad/model/row_packer.h"

#include <ATen/ATen.h>

namespace lriad {

void RowPacker::add_prompt(const std::vector<int64_t>& ids, const at::Tensor& positions_3T,
                           const at::Tensor& features_MD) {
  const int64_t begin = num_rows();
  if (features_MD.defined()) features_.push_back(features_MD);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == image_token_id_) feature_rows_.push_back(begin + static_cast<int64_t>(i));
  }
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  positions_.push_back(positions_3T);
  spans_.push_back({begin, num_rows(), -1});
}

void RowPacker::add_completion(std::span<const int64_t> ids, int64_t next, int64_t prefix) {
  if (ids.empty()) return;
  const int64_t begin = num_rows(), count = std::ssize(ids);
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  positions_.push_back((at::arange(count, at::kLong) + next).expand({3, count}));
  if (prefix >= 0) {
    spans_.push_back({begin, num_rows(), prefix});
  } else {
    spans_.back().end = num_rows();
  }
}

PackedTokens RowPacker::finish(const at::Device& device) {
  PackedTokens tokens;
  tokens.ids_T = at::tensor(ids_, at::kLong).to(device);
  tokens.positions_3T = at::cat(positions_, 1).to(device);
  if (!features_.empty()) tokens.features_MD = at::cat(features_);
  if (!feature_rows_.empty()) tokens.feature_rows_M = at::tensor(feature_rows_, at::kLong).to(device);
  tokens.spans = std::move(spans_);
  return tokens;
}

}  // namespace lriad

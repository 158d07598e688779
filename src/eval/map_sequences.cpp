#include "map_sequences.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lriad/grpo/token_logprobs.h"
#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/image_features.h"

namespace lriad {

Sequences::Sequences(const ModelConfig& config, const MapProbe& probe) : config_(config), probe_(probe) {
  probe_.ids.push_back(probe.a);  // the last token of a completion needs no row
}

void Sequences::add(const PreparedSample& sample, const at::Tensor& references_RD, const at::Tensor& features_CD,
                    const std::vector<int64_t>& answer) {
  Group& group = groups_.emplace_back();
  group.prompt_ids = sample.prompt_ids;
  group.grids = sample.grids();
  group.features_ID = references_RD.defined() ? at::cat({references_RD, features_CD}) : features_CD;
  if (!answer.empty()) group.completions.emplace_back().ids = answer;
  group.completions.emplace_back().ids = probe_.ids;
  Sequence sequence;
  sequence.begin = rows_;
  sequence.num_answer_rows = std::ssize(answer);
  sequence.end = rows_ + std::ssize(sample.prompt_ids) + std::max<int64_t>(std::ssize(answer) - 1, 0);
  rows_ += packed_rows(group, Prefix::kShared);
  sequence.letter_row = rows_ - 1;
  const at::Tensor ids = at::tensor(sample.prompt_ids, at::kLong);
  const at::Tensor image_rows = (ids == config_.image_token_id).nonzero().squeeze(1);
  sequence.image_rows_C = image_rows.slice(0, -features_CD.size(0)).to(features_CD.device());
  all_.push_back(std::move(sequence));
}

PackedTokens Sequences::pack(const at::Device& device) const {
  return pack_groups(addresses_of(groups_), config_, Prefix::kShared, device).tokens;
}

at::Tensor scores_of(const Qwen2Vl& model, const at::Tensor& hidden_TD, const Sequences& sequences,
                     const MapProbe& probe) {
  std::vector<int64_t> rows;
  for (const Sequence& sequence : sequences.all()) rows.push_back(sequence.letter_row);
  const at::ScalarType dtype = accumulate_dtype(hidden_TD.scalar_type());
  const at::Tensor& head = model->head();
  const at::Tensor apart_D = head[probe.a].to(dtype) - head[probe.b].to(dtype);
  return at::mv(hidden_TD.index_select(0, at::tensor(rows, at::kLong).to(hidden_TD.device())).to(dtype), apart_D);
}

std::vector<at::Tensor> reference_features(Qwen2Vl& model, std::span<const PreparedSample> samples) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all;
  for (const PreparedSample& sample : samples) {
    std::vector<const Patches*> images = sample.images();
    images.pop_back();
    all.push_back(images.empty() ? at::Tensor() : joined(image_features(model, images)));
  }
  return all;
}

}  // namespace lriad

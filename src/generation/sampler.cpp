#include "lriad/generation/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

// Shape letters: N rows, V vocabulary.
namespace lriad {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

at::Tensor ban(const at::Tensor& scores_NV, const std::vector<int64_t>& ids) {
  std::vector<int64_t> known;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(known), [&](int64_t id) { return id < scores_NV.size(1); });
  if (known.empty()) return scores_NV;
  return scores_NV.index_fill(1, at::tensor(known, at::kLong).to(scores_NV.device()), kNever);
}

at::Tensor keep_top_k(const at::Tensor& scores_NV, int64_t k) {
  const at::Tensor kth = std::get<0>(scores_NV.topk(std::min(k, scores_NV.size(1)), 1)).slice(1, -1);
  return scores_NV.masked_fill(scores_NV < kth, kNever);
}

at::Tensor keep_top_p(const at::Tensor& scores_NV, double p) {
  const auto [sorted, order] = at::sort(scores_NV, /*stable=*/true, /*dim=*/1, /*descending=*/false);
  at::Tensor remove = at::softmax(sorted, 1).cumsum(1) <= 1 - p;
  remove.slice(1, -1).fill_(false);
  return scores_NV.masked_fill(at::empty_like(remove).scatter_(1, order, remove), kNever);
}

at::Tensor keep_min_p(const at::Tensor& scores_NV, double share) {
  const at::Tensor p = at::softmax(scores_NV, 1);
  const at::Tensor top = std::get<0>(p.max(1, /*keepdim=*/true));
  return scores_NV.masked_fill((p < share * top) & (p < top), kNever);
}

}  // namespace

at::Tensor sampler_scores(const at::Tensor& logits_NV, const SamplerSettings& settings) {
  at::Tensor scores = logits_NV.scalar_type() == at::kDouble ? logits_NV : logits_NV.to(at::kFloat);
  scores = ban(scores, settings.banned);
  if (settings.temperature > 0 && settings.temperature != 1) scores = scores / settings.temperature;
  if (settings.top_k > 0) scores = keep_top_k(scores, settings.top_k);
  if (settings.top_p < 1) scores = keep_top_p(scores, settings.top_p);
  if (settings.min_p > 0) scores = keep_min_p(scores, settings.min_p);
  return scores;
}

at::Tensor sample_tokens(const at::Tensor& scores_NV, const at::Tensor& uniforms_N) {
  const at::Tensor cumulative = at::softmax(scores_NV.to(at::kDouble), 1).cumsum(1);
  const at::Tensor total = cumulative.slice(1, -1);
  // Rounding must not lift the target to the total: the first larger sum has to belong to a token that can be sampled.
  const at::Tensor target = at::minimum(uniforms_N.to(at::kDouble).unsqueeze(1) * total, total * (1 - 0x1p-52));
  // A row with a NaN gives the last id instead of one past the end, so that the run goes on to the health guard.
  return at::searchsorted(cumulative, target, /*out_int32=*/false, /*right=*/true)
      .squeeze(1)
      .clamp_max(scores_NV.size(1) - 1);
}

}  // namespace lriad

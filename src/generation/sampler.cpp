#include "lriad/generation/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

// Shape letters: N rows, V vocabulary, K tokens of a block, B blocks.
namespace lriad {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr int64_t kBlock = 4096;  // tokens whose probabilities are summed up one after another

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

/// The first place of each row [N, K] of sums whose sum is above the target [N, 1].
at::Tensor first_above(const at::Tensor& sums_NK, const at::Tensor& target_N1) {
  // Rounding must not lift the target to the total: the first larger sum has to belong to a token that can be sampled.
  const at::Tensor most_N1 = sums_NK.slice(1, -1) * (1 - 0x1p-52);
  // A row with a NaN gives the last place instead of one past the end, so that the run goes on to the health guard.
  return at::searchsorted(sums_NK, at::minimum(target_N1, most_N1), /*out_int32=*/false, /*right=*/true)
      .clamp_max(sums_NK.size(1) - 1);
}

}  // namespace

Sampler::Sampler(const SamplerSettings& settings, int64_t vocab_size, const at::Device& device) : settings_(settings) {
  std::vector<int64_t> known;
  std::ranges::copy_if(settings.banned, std::back_inserter(known), [=](int64_t id) { return id < vocab_size; });
  if (!known.empty()) banned_ = at::tensor(known, at::kLong).to(device);
}

at::Tensor Sampler::scores(const at::Tensor& logits_NV) const {
  at::Tensor scores = logits_NV.scalar_type() == at::kDouble ? logits_NV : logits_NV.to(at::kFloat);
  if (banned_.defined()) scores = scores.index_fill(1, banned_, kNever);
  if (settings_.temperature > 0 && settings_.temperature != 1) scores = scores / settings_.temperature;
  if (settings_.top_k > 0) scores = keep_top_k(scores, settings_.top_k);
  if (settings_.top_p < 1) scores = keep_top_p(scores, settings_.top_p);
  if (settings_.min_p > 0) scores = keep_min_p(scores, settings_.min_p);
  return scores;
}

at::Tensor Sampler::sample(const at::Tensor& scores_NV, const at::Tensor& uniforms_N) const {
  return settings_.temperature == 0 ? scores_NV.argmax(1) : sample_tokens(scores_NV, uniforms_N);
}

/// Sums run over the blocks of the vocabulary and then over the tokens of one block: a running sum over a whole large
/// vocabulary in float64 would take a GPU about as long as a layer of the model.
at::Tensor sample_tokens(const at::Tensor& scores_NV, const at::Tensor& uniforms_N) {
  const at::Tensor p_NV = at::softmax(scores_NV.to(at::kDouble), 1),
                   uniforms_N1 = uniforms_N.to(at::kDouble).unsqueeze(1);
  const int64_t count = p_NV.size(0), vocab = p_NV.size(1), blocks = (vocab + kBlock - 1) / kBlock;
  if (blocks == 1) {
    const at::Tensor sums_NV = p_NV.cumsum(1);
    return first_above(sums_NV, uniforms_N1 * sums_NV.slice(1, -1)).squeeze(1);
  }
  const at::Tensor p_NBK = at::constant_pad_nd(p_NV, {0, blocks * kBlock - vocab}).view({count, blocks, kBlock});
  const at::Tensor sums_NB = p_NBK.sum(2).cumsum(1);
  const at::Tensor target_N1 = uniforms_N1 * sums_NB.slice(1, -1);
  const at::Tensor block_N1 = first_above(sums_NB, target_N1);
  const at::Tensor before_N1 = at::constant_pad_nd(sums_NB, {1, 0}).gather(1, block_N1);
  const at::Tensor own_NK = p_NBK.gather(1, block_N1.unsqueeze(2).expand({count, 1, kBlock})).squeeze(1).cumsum(1);
  return (block_N1 * kBlock + first_above(own_NK, target_N1 - before_N1)).squeeze(1).clamp_max(vocab - 1);
}

}  // namespace lriad

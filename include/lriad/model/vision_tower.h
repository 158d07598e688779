#pragma once

#include <array>
#include <span>
#include <vector>

#include "lriad/model/layers.h"

namespace lriad {

using Grid = std::array<int64_t, 3>;  ///< t, h, w of one image in patches

class VisionAttentionImpl : public torch::nn::Module {
 public:
  explicit VisionAttentionImpl(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& x_ND, const Rotary& rotary, const std::vector<int64_t>& segments);

 private:
  int64_t num_heads_;
  Linear qkv_, proj_;
};
TORCH_MODULE(VisionAttention);

/// x + attn(norm1(x)), then + fc2(quick_gelu(fc1(norm2(x)))). Source: Qwen2VLVisionBlock.
class VisionBlockImpl : public torch::nn::Module {
 public:
  explicit VisionBlockImpl(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& x_ND, const Rotary& rotary, const std::vector<int64_t>& segments);

 private:
  LayerNorm norm1_, norm2_;
  VisionAttention attn_;
  std::shared_ptr<torch::nn::Module> mlp_;
  Linear fc1_, fc2_;
};
TORCH_MODULE(VisionBlock);

/// Patches to language-model rows: patch embedding, blocks, merger of 2 x 2 patches. Source: Qwen2VisionTransformer and
/// PatchMerger of modeling_qwen2_vl.py.
class VisionTowerImpl : public torch::nn::Module {
 public:
  VisionTowerImpl(const VisionConfig& config, int64_t out_size);
  /// patches [N, patch_dim] of all images, N = sum of t h w -> [N / merge^2, out_size]
  at::Tensor forward(const at::Tensor& patches_NP, std::span<const Grid> grids);
  at::Tensor embed_patches(const at::Tensor& patches_NP) const;            ///< [N, embed_dim]
  at::Tensor encode(const at::Tensor& x_ND, std::span<const Grid> grids);  ///< the blocks; [N, embed_dim]

 private:
  VisionConfig config_;
  at::Tensor patch_weight_;
  std::vector<VisionBlock> blocks_;
  LayerNorm ln_q_;
  Linear merger_in_, merger_out_;
};
TORCH_MODULE(VisionTower);

}  // namespace lriad

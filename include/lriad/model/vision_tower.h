#pragma once

#include <memory>
#include <span>
#include <vector>

#include "lriad/model/attention.h"
#include "lriad/model/layers.h"
#include "lriad/model/vision_layout.h"

namespace lriad {

class VisionAttentionImpl : public torch::nn::Module {
 public:
  explicit VisionAttentionImpl(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& x_ND, const Rotary& rotary, const Segments& segments);

 private:
  int64_t num_heads_;
  Linear qkv_, proj_;
};
TORCH_MODULE(VisionAttention);

/// out(act(in(x))), or with a gate out(silu(gate(x)) * in(x)); VisionMlpKind says which and what they are called.
class VisionMlpImpl : public torch::nn::Module {
 public:
  explicit VisionMlpImpl(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& x_ND);

 private:
  at::Tensor (*activation_)(const at::Tensor&);
  Linear gate_{nullptr}, in_{nullptr}, out_{nullptr};  ///< gate: null unless the kind has one
};
TORCH_MODULE(VisionMlp);

/// x + attn(norm1(x)), then + mlp(norm2(x)). Source: Qwen2VLVisionBlock and its like.
class VisionBlockImpl : public torch::nn::Module {
 public:
  explicit VisionBlockImpl(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& x_ND, const Rotary& rotary, const Segments& segments);

 private:
  Norm norm1_, norm2_;
  VisionAttention attn_;
  VisionMlp mlp_;
};
TORCH_MODULE(VisionBlock);

/// Blocks of patches to rows of the language model: norm, linear, GELU, linear. A deepstack merger puts the patches of
/// a block together before the norm, the main one after it. Source: PatchMerger, Qwen3VLVisionPatchMerger.
class PatchMergerImpl : public torch::nn::Module {
 public:
  PatchMergerImpl(const VisionConfig& config, int64_t out_size, bool merged_norm);
  at::Tensor forward(const at::Tensor& x_ND);  ///< [N, embed_dim] -> [N / merge^2, out_size]

 private:
  bool merged_norm_;
  Norm norm_;
  Linear in_, out_;
};
TORCH_MODULE(PatchMerger);

/// A convolution whose stride is its kernel: of patches one after another, a linear layer with a weight of five axes.
class PatchProjectionImpl : public LinearImpl {
 public:
  explicit PatchProjectionImpl(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& patches_NP) const;  ///< [N, patch_dim] -> [N, embed_dim]
};
TORCH_MODULE(PatchProjection);

/// Keys (model/dropout.h) of the rows of a tower's pass, for its adapter's dropout.
struct TowerDropout {
  at::Tensor patches_N, cells_M;  ///< int64: of patches, and of the merged rows that the mergers see
};

/// Patches to language-model rows: patch embedding, blocks, mergers. Source: Qwen2VisionTransformer,
/// Qwen2_5_VisionTransformer and Qwen3VLVisionModel of transformers.
class VisionTowerImpl : public torch::nn::Module {
 public:
  VisionTowerImpl(const VisionConfig& config, int64_t out_size);

  /// patches [N, patch_dim] of all images, N = sum of t h w -> [N / merge^2, (1 + deepstack mergers) out_size]: an
  /// image row and, beside it, what each deepstack merger gives for it.
  at::Tensor forward(const at::Tensor& patches_NP, std::span<const Grid> grids);

  at::Tensor embed_patches(const at::Tensor& patches_NP) const;  ///< [N, embed_dim]

  struct Encoded {
    at::Tensor last_ND;                    ///< after the last block; patches in window order if there are windows
    std::vector<at::Tensor> deepstack_MH;  ///< of each deepstack merger, in the order of their blocks
    std::vector<int64_t> cells;            ///< merged cell at each place of that order; empty: reading order
  };
  Encoded encode(const at::Tensor& x_ND, std::span<const Grid> grids);  ///< position table and blocks

 private:
  VisionConfig config_;
  at::Tensor position_table_;
  PatchProjection patch_embed_{nullptr};
  std::vector<VisionBlock> blocks_;
  PatchMerger merger_{nullptr};
  std::vector<PatchMerger> deepstack_mergers_;  ///< as deepstack_visual_indexes
};
TORCH_MODULE(VisionTower);

}  // namespace lriad

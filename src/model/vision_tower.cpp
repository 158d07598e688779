#include "lriad/model/vision_tower.h"

#include <ATen/ATen.h>

#include "blank.h"
#include "lriad/model/attention.h"

// Shape letters: N patches, D tower width, P values of a patch, M merged rows.
namespace lriad {
namespace {

/// A module that only gives its children their checkpoint names.
std::shared_ptr<torch::nn::Module> name_space() { return std::make_shared<torch::nn::Module>(); }

at::Tensor quick_gelu(const at::Tensor& x) {
  at::Tensor gate = 1.702 * x;
  return x * gate.sigmoid_();
}

}  // namespace

VisionAttentionImpl::VisionAttentionImpl(const VisionConfig& config)
    : num_heads_(config.num_heads),
      qkv_(register_module("qkv", Linear(config.embed_dim, 3 * config.embed_dim, true))),
      proj_(register_module("proj", Linear(config.embed_dim, config.embed_dim, true))) {}

at::Tensor VisionAttentionImpl::forward(const at::Tensor& x_ND, const Rotary& rotary,
                                        const std::vector<int64_t>& segments) {
  const at::Tensor qkv = qkv_(x_ND).unflatten(-1, {3, num_heads_, -1});
  const auto rotated = [&](int64_t part) {
    const at::Tensor x = qkv.select(1, part);
    return rotate(x.to(rotary.cos_TD.scalar_type()), rotary).to(x.scalar_type());
  };
  return proj_(segment_attention(rotated(0), rotated(1), qkv.select(1, 2), segments).flatten(-2));
}

VisionBlockImpl::VisionBlockImpl(const VisionConfig& config)
    : norm1_(register_module("norm1", LayerNorm(config.embed_dim))),
      norm2_(register_module("norm2", LayerNorm(config.embed_dim))),
      attn_(register_module("attn", VisionAttention(config))),
      mlp_(name_space()),
      fc1_(mlp_->register_module("fc1", Linear(config.embed_dim, config.embed_dim * config.mlp_ratio, true))),
      fc2_(mlp_->register_module("fc2", Linear(config.embed_dim * config.mlp_ratio, config.embed_dim, true))) {
  register_module("mlp", mlp_);
}

at::Tensor VisionBlockImpl::forward(const at::Tensor& x_ND, const Rotary& rotary,
                                    const std::vector<int64_t>& segments) {
  const at::Tensor y_ND = x_ND + attn_(norm1_(x_ND), rotary, segments);
  return y_ND + fc2_(quick_gelu(fc1_(norm2_(y_ND))));
}

VisionTowerImpl::VisionTowerImpl(const VisionConfig& config, int64_t out_size)
    : config_(config), ln_q_(LayerNorm(config.embed_dim)), merger_in_(nullptr), merger_out_(nullptr) {
  const auto patch_embed = register_module("patch_embed", name_space());
  const auto proj = patch_embed->register_module("proj", name_space());
  patch_weight_ = proj->register_parameter("weight",
                                           blank({config.embed_dim, config.in_channels, config.temporal_patch_size,
                                                  config.patch_size, config.patch_size}),
                                           /*requires_grad=*/false);
  const auto blocks = register_module("blocks", name_space());
  for (int64_t j = 0; j < config.depth; ++j) {
    blocks_.push_back(blocks->register_module(std::to_string(j), VisionBlock(config)));
  }
  const auto merger = register_module("merger", name_space());
  merger->register_module("ln_q", ln_q_);
  const auto mlp = merger->register_module("mlp", name_space());
  const int64_t wide = config.embed_dim * config.spatial_merge_size * config.spatial_merge_size;
  merger_in_ = mlp->register_module("0", Linear(wide, wide, true));
  merger_out_ = mlp->register_module("2", Linear(wide, out_size, true));
}

at::Tensor VisionTowerImpl::embed_patches(const at::Tensor& patches_NP) const {
  const at::Tensor patches = patches_NP.to(patch_weight_.options());
  // On the CPU the operator that transformers runs, so that the rounding is its own; elsewhere a product is faster.
  if (!patches.device().is_cpu()) return at::linear(patches, patch_weight_.flatten(1));
  const auto size = patch_weight_.sizes();
  return at::conv3d(patches.view({-1, size[1], size[2], size[3], size[4]}), patch_weight_, {}, size.slice(2))
      .flatten(1);
}

at::Tensor VisionTowerImpl::encode(const at::Tensor& x_ND, std::span<const Grid> grids) {
  const Rotary rotary = vision_rope(grids, config_, x_ND.scalar_type(), x_ND.device());
  std::vector<int64_t> segments;
  for (const auto& [t, h, w] : grids) segments.insert(segments.end(), static_cast<std::size_t>(t), h * w);
  at::Tensor h_ND = x_ND;
  for (VisionBlock& block : blocks_) h_ND = block(h_ND, rotary, segments);
  return h_ND;
}

at::Tensor VisionTowerImpl::forward(const at::Tensor& patches_NP, std::span<const Grid> grids) {
  const at::Tensor h_ND = encode(embed_patches(patches_NP), grids);
  const at::Tensor wide_M = ln_q_(h_ND).reshape({-1, merger_in_->weight.size(1)});
  return merger_out_(at::gelu(merger_in_(wide_M)));
}

}  // namespace lriad

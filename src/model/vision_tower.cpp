#include "lriad/model/vision_tower.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lriad/model/attention.h"
#include "memory_saving.h"
#include "module_tree.h"

// Shape letters: N patches, D tower width, P values of a patch, M merged rows, H width of the language model.
namespace lriad {
namespace {

constexpr double kNormEps = 1e-6;  // of every norm of a tower, whatever config.json says

/// Registers a module under a name that may have one dot, as `mlp.0`.
template <class Holder>
Holder register_at(torch::nn::Module& owner, const std::string& name, Holder module) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return owner.register_module(name, std::move(module));
  return name_space(owner, name.substr(0, dot)).register_module(name.substr(dot + 1), std::move(module));
}

at::Tensor register_blank(torch::nn::Module& owner, const char* name, at::IntArrayRef sizes) {
  return owner.register_parameter(name, blank(sizes), /*requires_grad=*/false);
}

at::Tensor quick_gelu(const at::Tensor& x) {
  at::Tensor gate = 1.702 * x;
  return x * gate.sigmoid_();
}

at::Tensor tanh_gelu(const at::Tensor& x) { return at::gelu(x, "tanh"); }

/// Names of the linear layers of an MLP and its activation; with a gate the activation is SiLU of the gate.
struct MlpForm {
  const char *gate, *in, *out;
  at::Tensor (*activation)(const at::Tensor&);
};

constexpr MlpForm kMlpForms[] = {{nullptr, "fc1", "fc2", quick_gelu},  // in the order of VisionMlpKind
                                 {"gate_proj", "up_proj", "down_proj", nullptr},
                                 {nullptr, "linear_fc1", "linear_fc2", tanh_gelu}};

/// The patches of cells `cells` [N, ...] of x, whose cells have `unit` patches each.
at::Tensor in_order(const at::Tensor& x, const at::Tensor& cells_M, int64_t unit) {
  return x.unflatten(0, {-1, unit}).index_select(0, cells_M).flatten(0, 1);
}

}  // namespace

VisionAttentionImpl::VisionAttentionImpl(const VisionConfig& config)
    : num_heads_(config.num_heads),
      qkv_(register_module("qkv", Linear(config.embed_dim, 3 * config.embed_dim, true))),
      proj_(register_module("proj", Linear(config.embed_dim, config.embed_dim, true))) {}

at::Tensor VisionAttentionImpl::forward(const at::Tensor& x_ND, const Rotary& rotary, const Segments& segments) {
  const at::Tensor qkv = qkv_(x_ND).unflatten(-1, {3, num_heads_, -1});
  const auto rotated = [&](int64_t part) {
    const at::Tensor x = qkv.select(1, part);
    return rotate(x.to(rotary.cos_TD.scalar_type()), rotary).to(x.scalar_type());
  };
  return proj_(segment_attention(rotated(0), rotated(1), qkv.select(1, 2), segments).flatten(-2));
}

VisionMlpImpl::VisionMlpImpl(const VisionConfig& config) {
  const MlpForm& form = kMlpForms[static_cast<std::size_t>(config.mlp)];
  activation_ = form.activation;
  const int64_t width = config.embed_dim, wide = config.intermediate_size;
  if (form.gate != nullptr) gate_ = register_module(form.gate, Linear(width, wide, true));
  in_ = register_module(form.in, Linear(width, wide, true));
  out_ = register_module(form.out, Linear(wide, width, true));
}

at::Tensor VisionMlpImpl::forward(const at::Tensor& x_ND) {
  return out_(gate_.is_empty() ? activation_(in_(x_ND)) : silu_times(gate_(x_ND), in_(x_ND)));
}

VisionBlockImpl::VisionBlockImpl(const VisionConfig& config)
    : norm1_(register_module("norm1", Norm(config.norm, config.embed_dim, kNormEps))),
      norm2_(register_module("norm2", Norm(config.norm, config.embed_dim, kNormEps))),
      attn_(register_module("attn", VisionAttention(config))),
      mlp_(register_module("mlp", VisionMlp(config))) {}

at::Tensor VisionBlockImpl::forward(const at::Tensor& x_ND, const Rotary& rotary, const Segments& segments) {
  const at::Tensor y_ND = x_ND + attn_(norm1_(x_ND), rotary, segments);
  return y_ND + mlp_(norm2_(y_ND));
}

PatchMergerImpl::PatchMergerImpl(const VisionConfig& config, int64_t out_size, bool merged_norm)
    : merged_norm_(merged_norm),
      norm_(register_at(*this, config.merger_names[0],
                        Norm(config.norm, merged_norm ? config.merged_dim() : config.embed_dim, kNormEps))),
      in_(register_at(*this, config.merger_names[1], Linear(config.merged_dim(), config.merged_dim(), true))),
      out_(register_at(*this, config.merger_names[2], Linear(config.merged_dim(), out_size, true))) {}

at::Tensor PatchMergerImpl::forward(const at::Tensor& x_ND) {
  const auto merged = [this](const at::Tensor& x) { return x.reshape({-1, in_->weight.size(1)}); };
  return out_(at::gelu(in_(merged_norm_ ? norm_(merged(x_ND)) : merged(norm_(x_ND)))));
}

PatchProjectionImpl::PatchProjectionImpl(const VisionConfig& config)
    : LinearImpl(
          {config.embed_dim, config.in_channels, config.temporal_patch_size, config.patch_size, config.patch_size},
          config.patch_bias) {}

at::Tensor PatchProjectionImpl::forward(const at::Tensor& patches_NP) const {
  const at::Tensor patches = patches_NP.to(weight.options());
  // On the CPU the operator that transformers runs, so that the rounding is its own; elsewhere a product is faster.
  if (!patches.device().is_cpu()) return with_branch(at::linear(patches, weight.flatten(1), bias), patches);
  const auto size = weight.sizes();
  const at::Tensor blocks = patches.view({-1, size[1], size[2], size[3], size[4]});
  return with_branch(at::conv3d(blocks, weight, bias, size.slice(2)).flatten(1), patches);
}

VisionTowerImpl::VisionTowerImpl(const VisionConfig& config, int64_t out_size) : config_(config) {
  patch_embed_ = name_space(*this, "patch_embed").register_module("proj", PatchProjection(config));
  if (config.num_position_embeddings != 0) {
    position_table_ =
        register_blank(name_space(*this, "pos_embed"), "weight", {config.num_position_embeddings, config.embed_dim});
  }
  torch::nn::Module& blocks = name_space(*this, "blocks");
  for (int64_t j = 0; j < config.depth; ++j) {
    blocks_.push_back(blocks.register_module(std::to_string(j), VisionBlock(config)));
  }
  merger_ = register_module("merger", PatchMerger(config, out_size, /*merged_norm=*/false));
  for (int64_t k = 0; k < config.num_deepstack(); ++k) {
    deepstack_mergers_.push_back(
        name_space(*this, "deepstack_merger_list")
            .register_module(std::to_string(k), PatchMerger(config, out_size, /*merged_norm=*/true)));
  }
}

at::Tensor VisionTowerImpl::embed_patches(const at::Tensor& patches_NP) const {
  return patch_embed_->forward(patches_NP);
}

VisionTowerImpl::Encoded VisionTowerImpl::encode(const at::Tensor& x_ND, std::span<const Grid> grids) {
  at::Tensor h_ND = position_table_.defined() ? x_ND + table_positions(position_table_, grids, config_) : x_ND;
  Rotary rotary = vision_rope(grids, config_, x_ND.scalar_type(), x_ND.device());
  std::vector<int64_t> lengths;
  for (const auto& [t, h, w] : grids) lengths.insert(lengths.end(), static_cast<std::size_t>(t), h * w);
  const Segments images = make_segments(std::move(lengths), x_ND.options());
  Encoded encoded;
  Segments windows;
  if (config_.window_size != 0) {
    WindowOrder order = window_order(grids, config_);
    const at::Tensor cells_M = at::tensor(order.cells, at::kLong).to(x_ND.device());
    const int64_t unit = config_.spatial_merge_size * config_.spatial_merge_size;
    h_ND = in_order(h_ND, cells_M, unit);
    rotary = {in_order(rotary.cos_TD, cells_M, unit), in_order(rotary.sin_TD, cells_M, unit)};
    encoded.cells = std::move(order.cells);
    windows = make_segments(std::move(order.lengths), x_ND.options());
  }
  const std::vector<int64_t>& deepstack = config_.deepstack_visual_indexes;
  for (std::size_t j = 0; j < blocks_.size(); ++j) {
    const auto block = static_cast<int64_t>(j);
    const bool whole = windows.lengths.empty() || std::ranges::count(config_.fullatt_block_indexes, block) > 0;
    h_ND = blocks_[j](h_ND, rotary, whole ? images : windows);
    const auto k = std::ranges::find(deepstack, block) - deepstack.begin();
    if (k < std::ssize(deepstack))
      encoded.deepstack_MH.push_back(deepstack_mergers_[static_cast<std::size_t>(k)](h_ND));
  }
  encoded.last_ND = h_ND;
  return encoded;
}

at::Tensor VisionTowerImpl::forward(const at::Tensor& patches_NP, std::span<const Grid> grids) {
  Encoded encoded = encode(embed_patches(patches_NP), grids);
  at::Tensor rows_MH = merger_(encoded.last_ND);
  if (!encoded.cells.empty())
    rows_MH = rows_MH.index_select(0, at::tensor(encoded.cells, at::kLong).argsort().to(rows_MH.device()));
  if (encoded.deepstack_MH.empty()) return rows_MH;
  encoded.deepstack_MH.insert(encoded.deepstack_MH.begin(), rows_MH);
  return at::cat(encoded.deepstack_MH, 1);
}

}  // namespace lriad

#include "lriad/model/layers.h"

#include <ATen/ATen.h>

#include "lriad/model/dropout.h"
#include "memory_saving.h"
#include "module_tree.h"

// Shape letters: T tokens, D hidden size, H query heads, K key heads.
namespace lriad {
LinearImpl::LinearImpl(at::IntArrayRef weight_sizes, bool with_bias) {
  weight = register_parameter("weight", blank(weight_sizes), /*requires_grad=*/false);
  if (with_bias) bias = register_parameter("bias", blank({weight_sizes[0]}), /*requires_grad=*/false);
}

at::Tensor LinearImpl::forward(const at::Tensor& x) const { return with_branch(at::linear(x, weight, bias), x); }

at::Tensor LinearImpl::with_branch(const at::Tensor& y, const at::Tensor& x) const {
  if (!has_lora()) return y;
  return (y + lora_branch(x, lora_A.flatten(1), lora_B.flatten(1), scaling_, dropout())).to(x.scalar_type());
}

void LinearImpl::set_dropout(const at::Tensor& keys_T, uint64_t stream) {
  dropout_keys_T_ = keys_T;
  dropout_stream_ = stream;
}

Dropout LinearImpl::dropout() const {
  if (!is_training() || dropout_ == 0 || !dropout_keys_T_.defined()) return {};
  return [keys_T = dropout_keys_T_, stream = dropout_stream_, keep = 1 - dropout_](
             const at::Tensor& x, at::ScalarType dtype) { return drop_out(x, keys_T, stream, keep, dtype); };
}

void LinearImpl::add_lora(int64_t r, double scaling, double dropout, at::ScalarType dtype) {
  const auto options = weight.options().dtype(dtype);
  const BranchSizes sizes = branch_sizes(weight.sizes(), r);
  lora_A = register_parameter("lora_A", at::zeros(sizes.a, options));
  lora_B = register_parameter("lora_B", at::zeros(sizes.b, options));
  scaling_ = scaling;
  dropout_ = dropout;
}

BranchSizes branch_sizes(at::IntArrayRef weight_sizes, int64_t r) {
  BranchSizes sizes{weight_sizes.vec(), std::vector<int64_t>(weight_sizes.size(), 1)};
  sizes.a[0] = r;
  sizes.b[0] = weight_sizes[0];
  sizes.b[1] = r;
  return sizes;
}

NormImpl::NormImpl(NormKind kind, int64_t size, double eps)
    : weight(register_parameter("weight", blank({size}), /*requires_grad=*/false)), eps_(eps) {
  if (kind == NormKind::kLayerNorm) bias = register_parameter("bias", blank({size}), /*requires_grad=*/false);
}

at::Tensor NormImpl::forward(const at::Tensor& x) const {
  return bias.defined() ? at::layer_norm(x, {weight.size(0)}, weight, bias, eps_) : rms_norm(x, weight, eps_);
}

SelfAttentionImpl::SelfAttentionImpl(const TextConfig& config, int64_t layer)
    : layer_(layer),
      head_dim_(config.head_dim),
      q_proj_(register_module("q_proj", Linear(config.hidden_size, config.query_dim(), config.qkv_bias))),
      k_proj_(register_module("k_proj", Linear(config.hidden_size, config.key_dim(), config.qkv_bias))),
      v_proj_(register_module("v_proj", Linear(config.hidden_size, config.key_dim(), config.qkv_bias))),
      o_proj_(register_module("o_proj", Linear(config.query_dim(), config.hidden_size, false))) {
  if (!config.qk_norm) return;
  q_norm_ = register_module("q_norm", Norm(NormKind::kRmsNorm, head_dim_, config.rms_norm_eps));
  k_norm_ = register_module("k_norm", Norm(NormKind::kRmsNorm, head_dim_, config.rms_norm_eps));
}

at::Tensor SelfAttentionImpl::forward(const at::Tensor& x_TD, const Rotary& rotary, const Attend& attend) {
  const auto heads = [this](const at::Tensor& x) { return x.unflatten(-1, {-1, head_dim_}); };
  const auto turned = [&](const at::Tensor& x_THD, Norm& norm) {
    return rotate(norm.is_empty() ? x_THD : norm(x_THD), rotary);
  };
  const at::Tensor q_THD = turned(heads(q_proj_(x_TD)), q_norm_);
  const at::Tensor k_TKD = turned(heads(k_proj_(x_TD)), k_norm_);
  return o_proj_(attend(layer_, q_THD, k_TKD, heads(v_proj_(x_TD))).flatten(-2));
}

MlpImpl::MlpImpl(int64_t hidden_size, int64_t intermediate_size, bool bias)
    : gate_proj_(register_module("gate_proj", Linear(hidden_size, intermediate_size, bias))),
      up_proj_(register_module("up_proj", Linear(hidden_size, intermediate_size, bias))),
      down_proj_(register_module("down_proj", Linear(intermediate_size, hidden_size, bias))) {}

at::Tensor MlpImpl::forward(const at::Tensor& x_TD) { return down_proj_(silu_times(gate_proj_(x_TD), up_proj_(x_TD))); }

DecoderLayerImpl::DecoderLayerImpl(const TextConfig& config, int64_t layer)
    : input_layernorm_(
          register_module("input_layernorm", Norm(NormKind::kRmsNorm, config.hidden_size, config.rms_norm_eps))),
      self_attn_(register_module("self_attn", SelfAttention(config, layer))),
      post_attention_layernorm_(register_module("post_attention_layernorm",
                                                Norm(NormKind::kRmsNorm, config.hidden_size, config.rms_norm_eps))),
      mlp_(register_module("mlp", Mlp(config.hidden_size, config.intermediate_size, /*bias=*/false))) {}

at::Tensor DecoderLayerImpl::forward(const at::Tensor& x_TD, const Rotary& rotary, const Attend& attend) {
  const at::Tensor h_TD = x_TD + self_attn_(input_layernorm_(x_TD), rotary, attend);
  return h_TD + mlp_(post_attention_layernorm_(h_TD));
}

}  // namespace lriad

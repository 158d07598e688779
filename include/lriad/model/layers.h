#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lriad/model/model_config.h"
#include "lriad/model/rope.h"

namespace lriad {

/// Frozen weights of a linear layer with an optional LoRA branch: y = x W^T + b + s B(A(dropout(x))), as PEFT computes
/// it: the branch in float32 (the adapter's dtype), the sum rounded once to the dtype of x. Source: peft
/// tuners/lora/layer.py.
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(int64_t in, int64_t out, bool with_bias) : LinearImpl({out, in}, with_bias) {}
  at::Tensor forward(const at::Tensor& x) const;  ///< [rows, in] -> [rows, out]
  /// Adds a branch with A = 0 and B = 0; weights are set by name afterwards.
  void add_lora(int64_t r, double scaling, double dropout, at::ScalarType dtype);
  void enable_lora(bool on) { lora_on_ = on; }
  bool has_lora() const { return lora_A.defined() && lora_on_; }  ///< and it is not switched off
  double scaling() const { return scaling_; }                     ///< of the branch
  /// Dropout acts on the adapter branch in training mode while the rows' keys are set (model/dropout.h); `stream` tells
  /// the layers apart.
  void set_dropout(const at::Tensor& keys_T, uint64_t stream);

  at::Tensor weight, bias, lora_A, lora_B;

 protected:
  LinearImpl(at::IntArrayRef weight_sizes, bool with_bias);
  at::Tensor with_branch(const at::Tensor& y, const at::Tensor& x) const;  ///< y + s B(A(dropout(x))), if it is on

 private:
  std::function<at::Tensor(const at::Tensor& x, at::ScalarType dtype)> dropout() const;
  double scaling_ = 0, dropout_ = 0;
  bool lora_on_ = true;
  at::Tensor dropout_keys_T_;
  uint64_t dropout_stream_ = 0;
};
TORCH_MODULE(Linear);

/// Sizes of A and B of a branch beside a weight: matrices, or as PEFT has them beside a convolution, whose A has its
/// kernel and whose B a kernel of 1.
struct BranchSizes {
  std::vector<int64_t> a, b;
};
BranchSizes branch_sizes(at::IntArrayRef weight_sizes, int64_t r);

/// kRmsNorm: x rsqrt(mean x^2 + eps) in float32, cast back, then times the weight: two roundings in bf16. Source:
/// Qwen2RMSNorm. kLayerNorm: the usual one, with a bias.
class NormImpl : public torch::nn::Module {
 public:
  NormImpl(NormKind kind, int64_t size, double eps);
  at::Tensor forward(const at::Tensor& x) const;  ///< over the last axis
  at::Tensor weight, bias;                        ///< bias: of kLayerNorm only

 private:
  double eps_;
};
TORCH_MODULE(Norm);

/// Attention over normed and rotated q [T, heads, D], k and v [T, kv heads, D] of one layer -> [T, heads, D]: over
/// packed spans, or over a cache.
using Attend = std::function<at::Tensor(int64_t layer, const at::Tensor&, const at::Tensor&, const at::Tensor&)>;

class SelfAttentionImpl : public torch::nn::Module {
 public:
  SelfAttentionImpl(const TextConfig& config, int64_t layer);
  at::Tensor forward(const at::Tensor& x_TD, const Rotary& rotary, const Attend& attend);

 private:
  int64_t layer_, head_dim_;
  Linear q_proj_, k_proj_, v_proj_, o_proj_;
  Norm q_norm_{nullptr}, k_norm_{nullptr};  ///< null without qk_norm
};
TORCH_MODULE(SelfAttention);

/// down(silu(gate(x)) * up(x)). Source: Qwen2MLP, Qwen2_5_VLMLP.
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(int64_t hidden_size, int64_t intermediate_size, bool bias);
  at::Tensor forward(const at::Tensor& x_TD);

 private:
  Linear gate_proj_, up_proj_, down_proj_;
};
TORCH_MODULE(Mlp);

/// h = x + attn(rms(x)); h + mlp(rms(h)). Source: Qwen2VLDecoderLayer, Qwen3VLTextDecoderLayer.
class DecoderLayerImpl : public torch::nn::Module {
 public:
  DecoderLayerImpl(const TextConfig& config, int64_t layer);
  at::Tensor forward(const at::Tensor& x_TD, const Rotary& rotary, const Attend& attend);

 private:
  Norm input_layernorm_;
  SelfAttention self_attn_;
  Norm post_attention_layernorm_;
  Mlp mlp_;
};
TORCH_MODULE(DecoderLayer);

}  // namespace lriad

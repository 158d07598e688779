#include "decode_step.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/kernels/operators.h"
#include "lriad/model/accumulate_dtype.h"

// Shape letters: B sequences, N tokens, D hidden size, H query heads, K key heads, V vocabulary.
namespace lriad {
namespace {

constexpr const char* kDecoder = "model.language_model.";
constexpr int64_t kBlocks = 512;       // of attention that a layer is split into, a few for each processor of a GPU
constexpr int64_t kKeysOfABlock = 64;  // at least

std::string layer_path(int64_t index) { return concat(kDecoder, "layers.", index, '.'); }

template <class Module>
Module* find(const Qwen2Vl& model, const std::string& path) {
  torch::nn::Module* found = model.ptr().get();
  for (std::size_t begin = 0; found != nullptr && begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const auto children = found->named_children();
    const auto* child = children.find(path.substr(begin, end - begin));
    found = child == nullptr ? nullptr : child->get();
    begin = end + 1;
  }
  return dynamic_cast<Module*>(found);
}

bool stand_together(const std::vector<at::Tensor>& parts) {
  int64_t next = parts.front().storage_offset();
  return std::ranges::all_of(parts, [&](const at::Tensor& part) {
    const bool fits = part.is_contiguous() && part.is_alias_of(parts.front()) && part.storage_offset() == next;
    next += part.numel();
    return fits;
  });
}

/// The frozen weights, or biases, of linear layers of one input as rows of one tensor. The layers' own ones become
/// views of it, so that this takes no memory once it is made.
at::Tensor stacked(const std::vector<at::Tensor>& parts) {
  int64_t rows = 0;
  for (const at::Tensor& part : parts) rows += part.size(0);
  std::vector<int64_t> shape = parts.front().sizes().vec();
  shape.front() = rows;
  if (stand_together(parts)) {
    const at::Tensor& first = parts.front();
    return first.as_strided(shape, first.strides(), first.storage_offset());
  }
  const at::Tensor all = at::cat(parts);
  int64_t row = 0;
  for (at::Tensor part : parts) {
    part.set_data(all.narrow(0, row, part.size(0)));
    row += part.size(0);
  }
  return all;
}

/// out = x W^T + b.
void product(const LinearImpl& linear, const at::Tensor& x, at::Tensor& out) {
  if (linear.has_lora()) {
    out.copy_(linear.forward(x));
  } else {
    at::mm_out(out, x, linear.weight.t());
  }
}

}  // namespace

bool DecodeStep::serves(Qwen2Vl& model, const GenerationSettings& settings) {
  const TextConfig& text = model->config().text;
  const SamplerSettings& sampler = settings.sampler;
  if (!operators::serve(model->head().device()) || settings.keep_allowed) return false;
  if (sampler.top_k > 0 || sampler.top_p < 1 || sampler.min_p > 0) return false;
  if (text.head_dim % 8 != 0 || text.head_dim > 128 || text.num_attention_heads > 8 * text.num_key_value_heads)
    return false;
  if (text.hidden_size % 8 != 0 || text.intermediate_size % 8 != 0) return false;
  // Trained weights stand in the optimizer's order and cannot be stacked.
  const auto* const q_proj = find<LinearImpl>(model, layer_path(0) + "self_attn.q_proj");
  return q_proj != nullptr && !q_proj->weight.requires_grad();
}

DecodeStep::DecodeStep(Qwen2Vl& model, const KvCache& cache, const GenerationSettings& settings,
                       const Rotary& rotary_NBD, SamplingTensors sampling)
    : model_(model),
      settings_(settings),
      options_(model->head().options().requires_grad(false)),
      rotary_NBD_{rotary_NBD.cos_TD.contiguous(), rotary_NBD.sin_TD.contiguous()},
      sampling_(std::move(sampling)),
      prompt_lengths_J_(at::tensor(cache.prompt_lengths(), at::kInt).to(options_.device())) {
  const TextConfig& text = model->config().text;
  const int64_t B = sampling_.ids_BN.size(0), D = text.hidden_size, H = text.num_attention_heads;
  const int64_t K = text.num_key_value_heads, size = text.head_dim, N = sampling_.ids_BN.size(1);
  const auto& parameters = model->named_parameters();
  embedding_ = parameters[concat(kDecoder, "embed_tokens.weight")];
  final_norm_ = parameters[concat(kDecoder, "norm.weight")];
  for (int64_t index = 0; index < text.num_hidden_layers; ++index) layers_.push_back(make_layer(index, cache));
  const auto zeros = [&](at::IntArrayRef sizes, at::ScalarType dtype) {
    return at::zeros(sizes, options_.dtype(dtype));
  };
  next_ids_B_ = zeros({B}, at::kLong);
  num_sampled_B_ = zeros({B}, at::kInt);
  ended_B_ = zeros({B}, at::kInt);
  num_ended_1_ = zeros({1}, at::kInt);
  x_BD_ = scratch({B, D});
  normed_BD_ = scratch({B, D});
  delta_BD_ = scratch({B, D});
  projected_ = scratch({B, (H + 2 * K) * size});
  queries_ = scratch({B, H, size});
  attended_ = scratch({B, H, size});
  const int64_t keys = layers_.front().cache.prompt_keys.size(2) + N;
  const int64_t splits = std::clamp<int64_t>(std::min(kBlocks / (B * K), keys / kKeysOfABlock), 1, keys);
  partial_ = at::empty({B, K, splits, H / K, size + 2}, options_.dtype(accumulate_dtype(x_BD_.scalar_type())));
  tickets_ = zeros({B, K}, at::kInt);
  gate_up_ = scratch({B, 2 * text.intermediate_size});
  gated_ = scratch({B, text.intermediate_size});
  logits_BV_ = scratch({B, text.vocab_size});
}

DecodeStep::Layer DecodeStep::make_layer(int64_t index, const KvCache& cache) {
  const auto linear = [&](const char* name) { return find<LinearImpl>(model_, layer_path(index) + name); };
  const auto norm_weight = [&](const char* name) -> Optional {
    const auto* const found = find<NormImpl>(model_, layer_path(index) + name);
    return found == nullptr ? Optional() : Optional(found->weight);
  };
  Layer layer{linear("self_attn.o_proj"),
              linear("mlp.gate_proj"),
              linear("mlp.up_proj"),
              linear("mlp.down_proj"),
              *norm_weight("input_layernorm"),
              *norm_weight("post_attention_layernorm"),
              {},
              {},
              {},
              norm_weight("self_attn.q_norm"),
              norm_weight("self_attn.k_norm"),
              {},
              {},
              {},
              {},
              cache.buffers(index)};
  const std::array<LinearImpl*, 3> inputs = {linear("self_attn.q_proj"), linear("self_attn.k_proj"),
                                             linear("self_attn.v_proj")};
  std::vector<at::Tensor> weights, biases, lora_a, lora_b;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    weights.push_back(inputs[k]->weight);
    if (inputs[k]->bias.defined()) biases.push_back(inputs[k]->bias);
    if (!inputs[k]->has_lora()) continue;
    layer.ranks[k] = inputs[k]->lora_A.size(0);
    lora_a.push_back(inputs[k]->lora_A);
    lora_b.push_back((inputs[k]->lora_B * inputs[k]->scaling()).flatten());
  }
  layer.qkv = stacked(weights);
  if (!biases.empty()) layer.qkv_bias = stacked(biases);
  if (!layer.gate_proj->has_lora() && !layer.up_proj->has_lora())
    layer.gate_up = stacked({layer.gate_proj->weight, layer.up_proj->weight});
  if (lora_a.empty()) return layer;
  layer.lora_a = at::cat(lora_a);
  layer.lora_b = at::cat(lora_b);
  layer.middle = at::empty({sampling_.ids_BN.size(0), layer.lora_a->size(0)}, layer.lora_a->options());
  return layer;
}

void DecodeStep::first(const at::Tensor& logits_BV) {
  logits_BV_.copy_(logits_BV);
  sample();
}

void DecodeStep::next() {
  at::index_select_out(x_BD_, embedding_, 0, next_ids_B_);
  Optional added;
  for (Layer& layer : layers_) {
    attention(layer, added);
    gated(layer);
    added = delta_BD_;
  }
  norm(added, final_norm_, {}, {});
  at::mm_out(logits_BV_, normed_BD_, model_->head().t());
  sample();
}

void DecodeStep::norm(const Optional& added, const at::Tensor& weight, const Optional& lora_a, const Optional& middle) {
  operators::norm_rows(x_BD_, added, weight, model_->config().text.rms_norm_eps, normed_BD_,
                       added ? Optional(x_BD_) : Optional(), {}, lora_a, middle);
}

void DecodeStep::attention(Layer& layer, const Optional& added) {
  norm(added, layer.input_norm, layer.lora_a, layer.middle);
  if (layer.qkv_bias) {
    at::addmm_out(projected_, *layer.qkv_bias, normed_BD_, layer.qkv.t());
  } else {
    at::mm_out(projected_, normed_BD_, layer.qkv.t());
  }
  operators::finish_projections(projected_, layer.middle, layer.lora_b, layer.ranks, layer.query_norm, layer.key_norm,
                                model_->config().text.rms_norm_eps, rotary_NBD_.cos_TD, rotary_NBD_.sin_TD,
                                num_sampled_B_, queries_, layer.cache.keys, layer.cache.values);
  operators::cached_attention(queries_, layer.cache.prompt_keys, layer.cache.prompt_values, layer.cache.keys,
                              layer.cache.values, prompt_lengths_J_, num_sampled_B_, partial_, tickets_, attended_);
  product(*layer.o_proj, attended_.flatten(1), delta_BD_);
}

void DecodeStep::gated(Layer& layer) {
  norm(delta_BD_, layer.post_norm, {}, {});
  if (layer.gate_up.defined()) {
    at::mm_out(gate_up_, normed_BD_, layer.gate_up.t());
    const auto halves = gate_up_.chunk(2, 1);
    operators::silu_times(halves[0], halves[1], gated_);
  } else {
    operators::silu_times(layer.gate_proj->forward(normed_BD_), layer.up_proj->forward(normed_BD_), gated_);
  }
  product(*layer.down_proj, gated_, delta_BD_);
}

void DecodeStep::sample() {
  operators::sample(logits_BV_, sampling_.uniforms_NB, sampling_.banned, sampling_.eos, settings_.answer_tokens,
                    settings_.sampler.temperature, sampling_.ids_BN, next_ids_B_, sampling_.trace_BN5, num_sampled_B_,
                    ended_B_, num_ended_1_);
}

int64_t DecodeStep::num_ended() const { return num_ended_1_.item<int>(); }

}  // namespace lriad

#include "lriad/model/qwen2_vl.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/model/accumulate_dtype.h"
#include "blank.h"
#include "recompute.h"

// Shape letters: T rows, D hidden size, M image rows.
namespace lriad {
namespace {

std::shared_ptr<torch::nn::Module> name_space() { return std::make_shared<torch::nn::Module>(); }

/// Calls act(name, layer) for each linear layer of the decoder.
void for_each_linear(const torch::nn::Module& model, const std::function<void(const std::string&, LinearImpl&)>& act) {
  for (const auto& item : model.named_modules()) {
    auto* linear = dynamic_cast<LinearImpl*>(item.value().get());
    if (linear != nullptr && item.key().starts_with("model.language_model.")) act(item.key(), *linear);
  }
}

bool names(const std::string& module, const std::string& target) {
  return module == target || module.ends_with("." + target);
}

}  // namespace

Qwen2VlImpl::Qwen2VlImpl(const ModelConfig& config)
    : config_(config), visual_(nullptr), norm_(RmsNorm(config.text.hidden_size, config.text.rms_norm_eps)) {
  const TextConfig& text = config.text;
  const auto frozen = [&](torch::nn::Module& owner) {
    return owner.register_parameter("weight", blank({text.vocab_size, text.hidden_size}), /*requires_grad=*/false);
  };
  const auto model = register_module("model", name_space());
  visual_ = model->register_module("visual", VisionTower(config.vision, text.hidden_size));
  const auto decoder = model->register_module("language_model", name_space());
  embedding_ = frozen(*decoder->register_module("embed_tokens", name_space()));
  const auto layers = decoder->register_module("layers", name_space());
  for (int64_t i = 0; i < text.num_hidden_layers; ++i) {
    layers_.push_back(layers->register_module(std::to_string(i), DecoderLayer(text, i)));
  }
  decoder->register_module("norm", norm_);
  if (!config.tie_word_embeddings) head_ = frozen(*register_module("lm_head", name_space()));
}

at::Tensor Qwen2VlImpl::image_features(const at::Tensor& patches_NP, std::span<const Grid> grids) {
  counts_.images += static_cast<int64_t>(grids.size());
  return visual_(patches_NP, grids);
}

at::Tensor Qwen2VlImpl::embed(const PackedTokens& tokens) const {
  const at::Tensor x_TD = at::embedding(embedding_, tokens.ids_T);
  if (!tokens.features_MD.defined()) return x_TD;
  const at::Tensor rows_M = tokens.feature_rows_M.defined()
                                ? tokens.feature_rows_M
                                : (tokens.ids_T == config_.image_token_id).nonzero().squeeze(1);
  require(rows_M.size(0) == tokens.features_MD.size(0), "model", "got ", tokens.features_MD.size(0),
          " image features for ", rows_M.size(0), " image tokens");
  return x_TD.index_copy(0, rows_M, tokens.features_MD.to(x_TD.scalar_type()));
}

at::Tensor Qwen2VlImpl::hidden(const PackedTokens& tokens) {
  // A copy of the spans: the backward pass may compute layers again when `tokens` is gone.
  return hidden(tokens, [spans = tokens.spans](int64_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return packed_attention(q, k, v, spans);
  });
}

at::Tensor Qwen2VlImpl::hidden(const PackedTokens& tokens, const Attend& attend) {
  counts_.rows += tokens.ids_T.size(0);
  at::Tensor x_TD = embed(tokens);
  const Rotary rotary = mrope(tokens.positions_3T, config_.text, x_TD.scalar_type());
  const bool again = checkpoint_ && at::GradMode::is_enabled();
  for (DecoderLayer& layer : layers_) {
    const auto run = [&layer, rotary, attend](const at::Tensor& x) { return layer(x, rotary, attend); };
    x_TD = again ? recompute_in_backward(x_TD, run) : run(x_TD);
  }
  return norm_(x_TD);
}

at::Tensor Qwen2VlImpl::logits(const at::Tensor& hidden_TD) const { return at::linear(hidden_TD, head()); }

void Qwen2VlImpl::add_lora(const std::vector<std::string>& target_modules, int64_t r, double scaling, double dropout) {
  const at::ScalarType dtype = accumulate_dtype(embedding_.scalar_type());
  for (const std::string& target : target_modules) {
    int64_t found = 0;
    for_each_linear(*this, [&](const std::string& name, LinearImpl& linear) {
      if (!names(name, target) || linear.lora_A.defined()) return;
      linear.add_lora(r, scaling, dropout, dtype);
      ++found;
    });
    if (found == 0)
      fail("model", "lora target ", target, " names no linear layer of the decoder, expected one such as q_proj");
  }
}

void Qwen2VlImpl::enable_lora(bool on) {
  for_each_linear(*this, [on](const std::string&, LinearImpl& linear) { linear.enable_lora(on); });
}

void Qwen2VlImpl::set_dropout(std::vector<DropoutRange> ranges) {
  const auto shared = ranges.empty() ? nullptr : std::make_shared<const std::vector<DropoutRange>>(std::move(ranges));
  uint64_t stream = 0;
  for_each_linear(*this, [&](const std::string&, LinearImpl& linear) { linear.set_dropout(shared, ++stream); });
}

std::map<std::string, at::Tensor> Qwen2VlImpl::lora_parameters() const {
  std::map<std::string, at::Tensor> result;
  for_each_linear(*this, [&](const std::string& name, LinearImpl& linear) {
    if (!linear.lora_A.defined()) return;
    result[name + ".lora_A.weight"] = linear.lora_A;
    result[name + ".lora_B.weight"] = linear.lora_B;
  });
  return result;
}

}  // namespace lriad

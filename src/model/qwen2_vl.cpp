#include "lriad/model/qwen2_vl.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/model/accumulate_dtype.h"
#include "module_tree.h"
#include "recompute.h"

// Shape letters: T rows, D hidden size, M image rows, of what images give [M, feature_dim()] the widths side by side.
namespace lriad {
namespace {

constexpr const char* kTower = "model.visual.";

/// Calls act(name, layer) for each linear layer.
void for_each_linear(const torch::nn::Module& model, const std::function<void(const std::string&, LinearImpl&)>& act) {
  for (const auto& item : model.named_modules()) {
    auto* linear = dynamic_cast<LinearImpl*>(item.value().get());
    if (linear != nullptr) act(item.key(), *linear);
  }
}

}  // namespace

Qwen2VlImpl::Qwen2VlImpl(const ModelConfig& config) : config_(config), visual_(nullptr), norm_(nullptr) {
  const TextConfig& text = config.text;
  const auto frozen = [&](torch::nn::Module& owner) {
    return owner.register_parameter("weight", blank({text.vocab_size, text.hidden_size}), /*requires_grad=*/false);
  };
  torch::nn::Module& model = name_space(*this, "model");
  visual_ = model.register_module("visual", VisionTower(config.vision, text.hidden_size));
  torch::nn::Module& decoder = name_space(model, "language_model");
  embedding_ = frozen(name_space(decoder, "embed_tokens"));
  torch::nn::Module& layers = name_space(decoder, "layers");
  for (int64_t i = 0; i < text.num_hidden_layers; ++i) {
    layers_.push_back(layers.register_module(std::to_string(i), DecoderLayer(text, i)));
  }
  norm_ = decoder.register_module("norm", Norm(NormKind::kRmsNorm, text.hidden_size, text.rms_norm_eps));
  if (!config.tie_word_embeddings) head_ = frozen(name_space(*this, "lm_head"));
}

at::Tensor Qwen2VlImpl::image_features(const at::Tensor& patches_NP, std::span<const Grid> grids) {
  counts_.images += static_cast<int64_t>(grids.size());
  return visual_(patches_NP, grids);
}

at::Tensor Qwen2VlImpl::image_rows(const PackedTokens& tokens) const {
  if (!tokens.features_MD.defined()) return {};
  const at::Tensor rows_M = tokens.feature_rows_M.defined()
                                ? tokens.feature_rows_M
                                : (tokens.ids_T == config_.image_token_id).nonzero().squeeze(1);
  require(tokens.features_MD.sizes() == at::IntArrayRef({rows_M.size(0), config_.feature_dim()}), "model",
          "got image features ", tokens.features_MD.sizes(), " for ", rows_M.size(0), " image tokens of width ",
          config_.feature_dim());
  return rows_M;
}

at::Tensor Qwen2VlImpl::hidden(const PackedTokens& tokens) {
  const auto layout = attention_layout(tokens.spans, config_.text.num_attention_heads, embedding_.options());
  return hidden(tokens, [layout](int64_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return packed_attention(q, k, v, layout);
  });
}

at::Tensor Qwen2VlImpl::hidden(const PackedTokens& tokens, const Attend& attend) {
  counts_.rows += tokens.ids_T.size(0);
  at::Tensor x_TD = at::embedding(embedding_, tokens.ids_T);
  const at::Tensor rows_M = image_rows(tokens);
  // Features stand side by side: rows of the embedding, then what is added after the first layers.
  const auto features = [&](int64_t k) {
    const int64_t width = config_.text.hidden_size;
    return tokens.features_MD.narrow(1, k * width, width).to(x_TD.scalar_type());
  };
  if (rows_M.defined()) x_TD = x_TD.index_copy(0, rows_M, features(0));
  const Rotary rotary =
      tokens.rotary.cos_TD.defined() ? tokens.rotary : mrope(tokens.positions_3T, config_.text, x_TD.scalar_type());
  const bool again = checkpoint_ && at::GradMode::is_enabled();
  int64_t done = 0;
  for (DecoderLayer& layer : layers_) {
    const auto run = [&layer, rotary, attend](const at::Tensor& x) { return layer(x, rotary, attend); };
    x_TD = again ? recompute_in_backward(x_TD, run) : run(x_TD);
    if (rows_M.defined() && ++done <= config_.vision.num_deepstack()) x_TD = x_TD.index_add(0, rows_M, features(done));
  }
  return norm_(x_TD);
}

at::Tensor Qwen2VlImpl::logits(const at::Tensor& hidden_TD) const { return at::linear(hidden_TD, head()); }

std::map<std::string, std::vector<int64_t>> Qwen2VlImpl::lora_layers() const {
  std::map<std::string, std::vector<int64_t>> layers;
  for_each_linear(*this,
                  [&](const std::string& name, LinearImpl& linear) { layers[name] = linear.weight.sizes().vec(); });
  return layers;
}

void Qwen2VlImpl::add_lora(const std::function<std::optional<LoraShape>(const std::string&)>& shape_of,
                           double dropout) {
  const at::ScalarType dtype = accumulate_dtype(embedding_.scalar_type());
  for_each_linear(*this, [&](const std::string& name, LinearImpl& linear) {
    if (const auto shape = shape_of(name)) linear.add_lora(shape->r, shape->scaling, dropout, dtype);
  });
}

void Qwen2VlImpl::enable_lora(bool on) {
  for_each_linear(*this, [on](const std::string&, LinearImpl& linear) { linear.enable_lora(on); });
}

void Qwen2VlImpl::set_dropout(const at::Tensor& keys_T, const TowerDropout& tower) {
  uint64_t decoder_stream = 0, tower_stream = 0;  // apart, since the rows' keys are
  for_each_linear(*this, [&](const std::string& name, LinearImpl& linear) {
    if (!name.starts_with(kTower)) return linear.set_dropout(keys_T, ++decoder_stream);
    const bool merges = name.find("merger") != std::string::npos;
    linear.set_dropout(merges ? tower.cells_M : tower.patches_N, ++tower_stream);
  });
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

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lriad/model/adapter_config.h"
#include "lriad/model/attention.h"
#include "lriad/model/layers.h"
#include "lriad/model/vision_tower.h"

namespace lriad {

/// Rows of several token sequences one after another, without padding: T rows in all.
struct PackedTokens {
  at::Tensor ids_T;         ///< int64
  at::Tensor positions_3T;  ///< int64: t, h, w
  std::vector<RowSpan> spans;
  at::Tensor features_MD;     ///< of the prompts' images, in order, as image_features() gives; may be undefined
  at::Tensor feature_rows_M;  ///< rows that get them; undefined: all rows of image_token_id
  Rotary rotary;              ///< where it is at hand: that of the positions, which are not needed then
};

/// What has passed through a model so far.
struct PassCounts {
  int64_t rows = 0;    ///< through the language model
  int64_t images = 0;  ///< through the vision tower
};

/// Qwen2-VL, Qwen2.5-VL or Qwen3-VL (dense), as the config says: vision tower, decoder, head. Children carry the
/// checkpoint's names (transformers >= 4.52), so that named_parameters() is the list of tensors to load. All weights
/// are frozen until asked otherwise.
class Qwen2VlImpl : public torch::nn::Module {
 public:
  explicit Qwen2VlImpl(const ModelConfig& config);

  /// patches [N, patch_dim] of all images -> [sum of image tokens, feature_dim()]: what stands in their place in the
  /// embedding and, beside it, what is added to the same rows after layer 0, 1, ... (deepstack of Qwen3-VL)
  at::Tensor image_features(const at::Tensor& patches_NP, std::span<const Grid> grids);

  /// Final normalised hidden states [T, hidden_size]. Throws Error if features and image tokens do not match.
  at::Tensor hidden(const PackedTokens& tokens);
  /// The same with another attention (a cache).
  at::Tensor hidden(const PackedTokens& tokens, const Attend& attend);

  at::Tensor logits(const at::Tensor& hidden_TD) const;  ///< [T, vocab], in the model's dtype
  /// Weight of the head [vocab, hidden_size]; of a tied model the embedding.
  const at::Tensor& head() const { return head_.defined() ? head_ : embedding_; }

  /// The layers that can have a branch, by path, with the sizes of their weights: every linear layer but the head, and
  /// the convolution of the patches.
  std::map<std::string, std::vector<int64_t>> lora_layers() const;
  /// Adds a branch whose B is zero to each of these layers that `shape_of` gives one, by its path.
  void add_lora(const std::function<std::optional<LoraShape>(const std::string&)>& shape_of, double dropout);
  void enable_lora(bool on);  ///< off: the base model, PEFT's disable_adapter
  /// Keys (model/dropout.h) of the decoder's rows of the next training passes, for the masks of the adapter's dropout;
  /// undefined: no dropout. `tower`: of their images.
  void set_dropout(const at::Tensor& keys_T, const TowerDropout& tower = {});
  /// Training passes keep only each decoder layer's input and compute the layer again in the backward pass.
  void set_gradient_checkpointing(bool on) { checkpoint_ = on; }
  /// Adapter tensors by PEFT's canonical name, `model.language_model.layers.0.self_attn.q_proj.lora_A.weight`.
  std::map<std::string, at::Tensor> lora_parameters() const;

  const ModelConfig& config() const { return config_; }
  const PassCounts& counts() const { return counts_; }

 private:
  at::Tensor image_rows(const PackedTokens& tokens) const;  ///< rows that get features; undefined without any
  ModelConfig config_;
  bool checkpoint_ = false;
  PassCounts counts_;
  at::Tensor embedding_, head_;
  VisionTower visual_;
  std::vector<DecoderLayer> layers_;
  Norm norm_;
};
TORCH_MODULE(Qwen2Vl);

}  // namespace lriad

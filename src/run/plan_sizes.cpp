#include "plan_sizes.h"

#include <cstdlib>
#include <functional>
#include <numeric>
#include <string_view>

#include "lriad/model/layers.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

constexpr std::string_view kTower = "model.visual.", kTowerBlocks = "model.visual.blocks.";

int64_t elements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

/// Number of the tower's block that a layer stands in; 0 for the convolution before them.
int64_t block_of(const std::string& path) {
  return path.starts_with(kTowerBlocks) ? std::atoll(path.c_str() + kTowerBlocks.size()) : 0;
}

}  // namespace

Sizes::Sizes(const PlanInput& in)
    : config(in.config),
      adapter(in.adapter),
      text(in.model.text),
      vision(in.model.vision),
      prompt(in.prompt_tokens),
      patches(in.image_patches),
      images(1 + config.data.reference.normal),
      grpo(config.stage == Stage::kGrpo),
      all(config.trainable == Trainable::kAll),
      b(config.model.dtype == Dtype::kBfloat16  ? 2
        : config.model.dtype == Dtype::kFloat32 ? 4
                                                : 8),
      f(config.model.dtype == Dtype::kFloat64 ? 8 : 4),
      prompts(config.train.per_device_train_batch_size * config.train.gradient_accumulation_steps),
      generations(grpo ? config.rollout.num_generations : 1),
      tokens(config.rollout.max_completion_length),
      q(text.query_dim()),
      kv(text.key_dim()),
      merged(vision.spatial_merge_size * vision.spatial_merge_size) {
  tower = all;
  first_block_ = vision.depth;
  for (const auto& [name, shape] : expected_tensors(in.model)) parameters += elements(shape);
  if (all) return;
  for (const auto& [path, shape] : lora_layers(in.model)) {
    const auto branch = adapter.shape_of(path);
    if (!branch) continue;
    const BranchSizes sizes = branch_sizes(shape, branch->r);
    lora_parameters += elements(sizes.a) + elements(sizes.b);
    const bool in_tower = path.starts_with(kTower);
    tower = tower || in_tower;
    (in_tower ? branches_per_patch_ : branches_per_row_) += saved_by_branch(path, shape, branch->r);
    if (in_tower && path.find("merger") == std::string::npos) first_block_ = std::min(first_block_, block_of(path));
  }
}

/// A branch saves its input, unless it is saved anyway, and A x. Rows of a merger stand for `merged` patches.
int64_t Sizes::saved_by_branch(const std::string& path, const std::vector<int64_t>& shape, int64_t r) const {
  const int64_t in = elements(shape) / shape[0];
  const bool gate_has_it =
      path.ends_with(".up_proj") && adapter.shape_of(path.substr(0, path.size() - 7) + "gate_proj");
  if (!path.starts_with(kTower)) {
    const bool saved = gate_has_it || path.find(".self_attn.") != std::string::npos;
    return r * f + (saved ? 0 : in * b);
  }
  return (r * f + (gate_has_it ? 0 : in * b)) / (path.find("merger") == std::string::npos ? 1 : merged);
}

/// The inputs of the norms and of the attention's branches, q, k, v and the result of attention, gate and up; with `f`
/// bytes the statistics of norms and attention. Norms of q and k also save their inputs.
int64_t Sizes::saved_per_row_and_layer() const {
  const int64_t normed = text.qk_norm ? q + kv : 0, heads = text.num_attention_heads + text.num_key_value_heads;
  const int64_t frozen = b * (3 * text.hidden_size + 2 * q + 2 * kv + normed + 2 * text.intermediate_size);
  // Trained linear layers also save their inputs: silu(gate) * up, and the result of the second norm.
  const int64_t trained = all ? b * (text.intermediate_size + text.hidden_size) : 0;
  const int64_t branches = branches_per_row_ / text.num_hidden_layers;
  return frozen + trained + branches + f * (2 + text.num_attention_heads + (text.qk_norm ? heads : 0));
}

/// A block with trained weights saves 11 tensors of embed_dim besides its MLP: the inputs of norms and linear layers,
/// q, k and v, the rotated q and k, and the result of attention; with branches the inputs of their layers are counted
/// with them. The MLP saves the outputs of its first layers and what its activation needs. A deepstack merger saves its
/// normed input and what comes before and after its activation. Before the first branch nothing is saved.
int64_t Sizes::tower_saved_per_patch() const {
  const int64_t width = vision.embed_dim;
  const int64_t kind = vision.mlp == VisionMlpKind::kTanhGelu ? 1 : 2;
  if (all) {
    const int64_t wide = vision.mlp == VisionMlpKind::kQuickGelu ? 4 : kind + 1;
    const int64_t block = 11 * width + wide * vision.intermediate_size;
    return b * (vision.depth * block + vision.num_deepstack() * 3 * width + vision.patch_dim());
  }
  if (!tower) return 0;
  const int64_t blocks = (vision.depth - first_block_) * (8 * width + kind * vision.intermediate_size);
  const int64_t mergers = (2 + vision.num_deepstack()) * width;
  return b * (blocks + mergers) + branches_per_patch_;
}

}  // namespace lriad

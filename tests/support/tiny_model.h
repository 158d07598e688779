#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <string>
#include <vector>

#include "lriad/generation/generate.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/model/load_model.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// Properties of the model that tests vary.
struct TinyShape {
  int64_t heads = 4;
  int64_t kv_heads = 2;
  bool tied = false;
};

/// Sizes of a Qwen2-VL that runs in milliseconds: 48 tokens (40 image, 41 video, 42 and 43 vision start and end, 44 and
/// 45 end of text), 2 decoder layers, 1 vision block, patches of 2 x 2 pixels.
inline ModelConfig tiny_config(const TinyShape& shape = {}) {
  ModelConfig config;
  config.text = {48, 8 * shape.heads, 40, 2, shape.heads, shape.kv_heads, 8, 1e-6, 1e4, {1, 1, 2}};
  config.vision.depth = 1;
  config.vision.embed_dim = 16;
  config.vision.num_heads = 2;
  config.vision.intermediate_size = 32;
  config.vision.patch_size = 2;
  config.tie_word_embeddings = shape.tied;
  config.image_token_id = 40;
  config.video_token_id = 41;
  config.vision_start_token_id = 42;
  config.vision_end_token_id = 43;
  config.eos_token_ids = {44, 45};
  return config;
}

inline at::Generator seeded(uint64_t seed) { return at::detail::createCPUGenerator(seed); }

/// Normal numbers [sizes] float64.
inline at::Tensor normal(at::IntArrayRef sizes, at::Generator& generator) {
  return at::empty(sizes, at::kDouble).normal_(0, 1, generator);
}

/// The model in evaluation mode with seeded weights: matrices normal / sqrt(fan in), norms near 1, biases near 0. Sets
/// one thread, which is fastest for such small tensors.
inline Qwen2Vl tiny_model(const ModelConfig& config, uint64_t seed, at::ScalarType dtype = at::kDouble) {
  at::set_num_threads(1);
  at::Generator generator = seeded(seed);
  Qwen2Vl model(config);
  model->to(dtype);
  const at::NoGradGuard no_grad;
  for (auto& item : model->named_parameters()) {
    at::Tensor weight = item.value();
    at::Tensor values = normal(weight.sizes(), generator);
    const bool norm = weight.dim() == 1 && item.key().ends_with("weight");
    if (weight.dim() == 1) values = values * 0.1 + (norm ? 1 : 0);
    if (weight.dim() > 1) values = values / std::sqrt(static_cast<double>(weight.numel() / weight.size(0)));
    weight.copy_(values);
  }
  model->eval();
  return model;
}

/// Adds an adapter of rank 3 with seeded A and B to all layers in `targets`; without any, to every layer that can have
/// a branch.
inline void add_tiny_adapter(Qwen2Vl& model, uint64_t seed, double dropout = 0,
                             const std::vector<std::string>& targets = {"q_proj", "v_proj"}) {
  at::Generator generator = seeded(seed);
  AdapterConfig config;
  config.r = 3;
  config.lora_alpha = 3 * 0.7;
  config.target_modules = {targets, ".*"};
  add_lora(model, config, dropout);
  const at::NoGradGuard no_grad;
  for (auto& [name, parameter] : model->lora_parameters()) {
    parameter.copy_(normal(parameter.sizes(), generator) * 0.4);
  }
}

/// A prompt with `text` text tokens: the first one before the images, the others after them.
inline GenerationPrompt tiny_prompt(Qwen2Vl& model, int64_t text, const std::vector<Grid>& grids, uint64_t seed) {
  at::Generator generator = seeded(seed);
  const ModelConfig& config = model->config();
  const at::Tensor words = at::randint(0, 40, {text}, generator, at::TensorOptions().dtype(at::kLong));
  const auto word = words.accessor<int64_t, 1>();
  GenerationPrompt prompt;
  prompt.ids.push_back(word[0]);
  int64_t patches = 0;
  for (const Grid& grid : grids) {
    prompt.ids.push_back(config.vision_start_token_id);
    prompt.ids.insert(prompt.ids.end(), static_cast<std::size_t>(grid[0] * grid[1] * grid[2] / 4),
                      config.image_token_id);
    prompt.ids.push_back(config.vision_end_token_id);
    patches += grid[0] * grid[1] * grid[2];
  }
  for (int64_t i = 1; i < text; ++i) prompt.ids.push_back(word[i]);
  prompt.grids = grids;
  prompt.prompt = static_cast<uint32_t>(seed);
  if (grids.empty()) return prompt;
  const at::NoGradGuard no_grad;
  const at::Tensor pixels = normal({patches, config.vision.patch_dim()}, generator);
  prompt.features_MD = model->image_features(pixels.to(model->head().scalar_type()), grids);
  return prompt;
}

/// A group of the prompt with completions of the given lengths, random tokens without end tokens.
inline Group tiny_group(const GenerationPrompt& prompt, const std::vector<int64_t>& lengths, uint64_t seed) {
  at::Generator generator = seeded(seed);
  Group group;
  group.prompt_ids = prompt.ids;
  group.grids = prompt.grids;
  group.features_ID = prompt.features_MD;
  group.dropout_seed = seed;
  for (const int64_t length : lengths) {
    const at::Tensor ids = at::randint(0, 40, {length}, generator, at::TensorOptions().dtype(at::kLong));
    group.completions.emplace_back().ids = {ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + length};
  }
  return group;
}

inline double largest_gap(const at::Tensor& a, const at::Tensor& b) {
  if (!a.sizes().equals(b.sizes())) return INFINITY;
  const double gap = a.numel() == 0 ? 0 : (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  return std::isnan(gap) ? INFINITY : gap;
}

/// Returns the gradients of the adapter's tensors by name and sets them to zero.
inline std::map<std::string, at::Tensor> take_gradients(Qwen2Vl& model) {
  std::map<std::string, at::Tensor> gradients;
  for (auto& [name, parameter] : model->lora_parameters()) {
    gradients[name] = parameter.grad().clone();
    parameter.mutable_grad().zero_();
  }
  return gradients;
}

}  // namespace lriad

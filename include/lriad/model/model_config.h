#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace lriad {

struct VisionConfig {
  int64_t depth = 32;
  int64_t embed_dim = 1280;
  int64_t num_heads = 16;
  int64_t mlp_ratio = 4;
  int64_t in_channels = 3;
  int64_t patch_size = 14;
  int64_t temporal_patch_size = 2;
  int64_t spatial_merge_size = 2;
  int64_t patch_dim() const { return in_channels * temporal_patch_size * patch_size * patch_size; }
};

struct TextConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;  ///< hidden_size / heads for Qwen2-VL
  double rms_norm_eps = 1e-6;
  double rope_theta = 1e6;
  std::array<int64_t, 3> mrope_section = {16, 24, 24};
};

/// Sizes of a Qwen2-VL, from config.json in the flat layout or, from transformers 4.52 on, with text_config.
struct ModelConfig {
  TextConfig text;
  VisionConfig vision;
  bool tie_word_embeddings = false;
  int64_t image_token_id = 151655;
  int64_t video_token_id = 151656;
  int64_t vision_start_token_id = 151652;
  int64_t vision_end_token_id = 151653;
  std::vector<int64_t> eos_token_ids;       ///< every eos id of generation_config.json, else config.json
  std::vector<int64_t> banned_ids() const;  ///< image, video, vision start, vision end
};

/// Reads config.json and the eos ids of generation_config.json. Throws Error naming file and field for other model
/// types, missing sizes, sizes that do not fit together (heads, rope sections), sliding windows or quantisation.
ModelConfig read_model_config(const std::filesystem::path& model_dir);

}  // namespace lriad

#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lriad {

enum class NormKind { kLayerNorm, kRmsNorm };

/// The MLP of a tower's block, named after what stands between its linear layers.
enum class VisionMlpKind {
  kQuickGelu,  ///< fc2(quick_gelu(fc1(x)))
  kSiluGate,   ///< down_proj(silu(gate_proj(x)) * up_proj(x))
  kTanhGelu,   ///< linear_fc2(gelu_tanh(linear_fc1(x)))
};

/// Sizes and parts of a vision tower. Indexes count blocks from 0.
struct VisionConfig {
  int64_t depth = 32;
  int64_t embed_dim = 1280;  ///< width of the tower; `hidden_size` in config.json from Qwen2.5-VL on
  int64_t num_heads = 16;
  int64_t intermediate_size = 5120;
  int64_t in_channels = 3;
  int64_t patch_size = 14;
  int64_t temporal_patch_size = 2;
  int64_t spatial_merge_size = 2;
  double rope_theta = 10000.0;
  NormKind norm = NormKind::kLayerNorm;
  VisionMlpKind mlp = VisionMlpKind::kQuickGelu;
  bool patch_bias = false;                                               ///< of the patch convolution
  std::array<const char*, 3> merger_names = {"ln_q", "mlp.0", "mlp.2"};  ///< norm and linear layers of a merger
  int64_t num_position_embeddings = 0;            ///< entries of the learned, square position table; 0: none
  int64_t window_size = 0;                        ///< side of an attention window in pixels; 0: whole images
  std::vector<int64_t> fullatt_block_indexes;     ///< blocks that see whole images in spite of windows
  std::vector<int64_t> deepstack_visual_indexes;  ///< blocks after which one more merger makes rows for the decoder
  int64_t patch_dim() const { return in_channels * temporal_patch_size * patch_size * patch_size; }
  int64_t merged_dim() const { return embed_dim * spatial_merge_size * spatial_merge_size; }
  int64_t num_deepstack() const { return static_cast<int64_t>(deepstack_visual_indexes.size()); }
};

struct TextConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;  ///< hidden_size / heads before Qwen3-VL
  double rms_norm_eps = 1e-6;
  double rope_theta = 1e6;
  std::array<int64_t, 3> mrope_section = {16, 24, 24};  ///< frequencies of t, h, w
  bool mrope_interleaved = false;                       ///< t h w t h w ... t t instead of three blocks
  bool qkv_bias = true;
  bool qk_norm = false;  ///< RMSNorm over each head of q and k before the rotation
  int64_t query_dim() const { return num_attention_heads * head_dim; }
  int64_t key_dim() const { return num_key_value_heads * head_dim; }
};

/// Sizes of a Qwen-VL, from config.json in the flat layout or, from transformers 4.52 on, with text_config.
struct ModelConfig {
  std::string model_type = "qwen2_vl";
  TextConfig text;
  VisionConfig vision;
  bool tie_word_embeddings = false;
  int64_t image_token_id = 151655;
  int64_t video_token_id = 151656;
  int64_t vision_start_token_id = 151652;
  int64_t vision_end_token_id = 151653;
  std::vector<int64_t> eos_token_ids;       ///< every eos id of generation_config.json, else config.json
  std::vector<int64_t> banned_ids() const;  ///< image, video, vision start, vision end
  /// Width of what an image gives the decoder: its rows, then those of each deepstack merger, side by side.
  int64_t feature_dim() const { return text.hidden_size * (1 + vision.num_deepstack()); }
};

/// Reads config.json and the eos ids of generation_config.json. Throws Error naming file and field for other model
/// types, missing sizes, sizes that do not fit together (heads, rope sections, windows, deepstack blocks), sliding
/// windows or quantisation.
ModelConfig read_model_config(const std::filesystem::path& model_dir);

}  // namespace lriad

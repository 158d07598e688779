#include "tool_model_config.h"

#include <algorithm>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kVocabularyStep = 64;  // the embedding's rows are rounded up to a multiple of this

struct Sizes {
  const char* name;
  int64_t hidden, intermediate, layers, heads, kv_heads, vocabulary;
  double rope_theta;
  bool tied;
  int64_t vision_depth, vision_dim, vision_heads;
};
constexpr Sizes kSizes[] = {{"tiny", 64, 192, 2, 4, 2, 0, 1e4, true, 2, 64, 4},
                            {"small", 512, 1536, 8, 8, 2, 0, 1e4, true, 8, 512, 8},
                            {"2b", 1536, 8960, 28, 12, 2, 151936, 1e6, true, 32, 1280, 16},
                            {"7b", 3584, 18944, 28, 28, 4, 152064, 1e6, false, 32, 1280, 16}};

/// Three sections that add up to half of the head dimension, in the published ratio of 2 : 3 : 3.
std::array<int64_t, 3> mrope_sections(int64_t head_dim) {
  const int64_t half = head_dim / 2, first = half / 4, second = (half - first) / 2;
  return {first, second, half - first - second};
}

int64_t id_of(const Tokenizer& tokenizer, const char* token) {
  const auto id = tokenizer.token_id(token);
  if (!id) fail("app", "the tokenizer has no ", token, "; it is not Qwen2-VL's");
  return *id;
}

ordered_json vision_json(const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  return {{"depth", v.depth},
          {"embed_dim", v.embed_dim},
          {"mlp_ratio", v.mlp_ratio},
          {"num_heads", v.num_heads},
          {"in_chans", v.in_channels},
          {"hidden_size", config.text.hidden_size},
          {"patch_size", v.patch_size},
          {"spatial_merge_size", v.spatial_merge_size},
          {"spatial_patch_size", v.patch_size},
          {"temporal_patch_size", v.temporal_patch_size}};
}

}  // namespace

ModelConfig named_model_config(const std::string& size) {
  const auto* const found =
      std::find_if(std::begin(kSizes), std::end(kSizes), [&](const Sizes& s) { return size == s.name; });
  if (found == std::end(kSizes)) fail("app", "--size is ", size, ", expected tiny, small, 2b or 7b");
  ModelConfig config;
  config.text = {found->vocabulary,
                 found->hidden,
                 found->intermediate,
                 found->layers,
                 found->heads,
                 found->kv_heads,
                 found->hidden / found->heads,
                 1e-6,
                 found->rope_theta,
                 mrope_sections(found->hidden / found->heads)};
  config.vision.depth = found->vision_depth;
  config.vision.embed_dim = found->vision_dim;
  config.vision.num_heads = found->vision_heads;
  config.tie_word_embeddings = found->tied;
  return config;
}

void fit_to_tokenizer(ModelConfig& config, const Tokenizer& tokenizer) {
  const int64_t rows = (tokenizer.size() + kVocabularyStep - 1) / kVocabularyStep * kVocabularyStep;
  config.text.vocab_size = std::max(config.text.vocab_size, rows);
  config.image_token_id = id_of(tokenizer, "<|image_pad|>");
  config.video_token_id = id_of(tokenizer, "<|video_pad|>");
  config.vision_start_token_id = id_of(tokenizer, "<|vision_start|>");
  config.vision_end_token_id = id_of(tokenizer, "<|vision_end|>");
  config.eos_token_ids = {id_of(tokenizer, "<|im_end|>"), id_of(tokenizer, "<|endoftext|>")};
}

ordered_json config_json(const ModelConfig& config, const Tokenizer& tokenizer, const std::string& dtype) {
  const TextConfig& t = config.text;
  return {{"architectures", {"Qwen2VLForConditionalGeneration"}},
          {"attention_dropout", 0.0},
          {"bos_token_id", id_of(tokenizer, "<|endoftext|>")},
          {"eos_token_id", id_of(tokenizer, "<|im_end|>")},
          {"vision_start_token_id", config.vision_start_token_id},
          {"vision_end_token_id", config.vision_end_token_id},
          {"vision_token_id", id_of(tokenizer, "<|vision_pad|>")},
          {"image_token_id", config.image_token_id},
          {"video_token_id", config.video_token_id},
          {"hidden_act", "silu"},
          {"hidden_size", t.hidden_size},
          {"initializer_range", 0.02},
          {"intermediate_size", t.intermediate_size},
          {"max_position_embeddings", 32768},
          {"max_window_layers", t.num_hidden_layers},
          {"model_type", "qwen2_vl"},
          {"num_attention_heads", t.num_attention_heads},
          {"num_hidden_layers", t.num_hidden_layers},
          {"num_key_value_heads", t.num_key_value_heads},
          {"rms_norm_eps", t.rms_norm_eps},
          {"rope_theta", t.rope_theta},
          {"sliding_window", 32768},
          {"tie_word_embeddings", config.tie_word_embeddings},
          {"torch_dtype", dtype},
          {"transformers_version", "4.41.2"},
          {"use_cache", true},
          {"use_sliding_window", false},
          {"vision_config", vision_json(config)},
          {"rope_scaling", {{"type", "mrope"}, {"mrope_section", t.mrope_section}}},
          {"vocab_size", t.vocab_size}};
}

ordered_json generation_config_json(const Tokenizer& tokenizer) {
  const int64_t end = id_of(tokenizer, "<|im_end|>"), pad = id_of(tokenizer, "<|endoftext|>");
  return {{"bos_token_id", pad},
          {"pad_token_id", pad},
          {"do_sample", true},
          {"eos_token_id", {end, pad}},
          {"repetition_penalty", 1.0},
          {"temperature", 0.01},
          {"top_p", 0.001},
          {"top_k", 1},
          {"transformers_version", "4.41.2"}};
}

ordered_json preprocessor_config_json() {
  return {{"min_pixels", 3136},
          {"max_pixels", 12845056},
          {"patch_size", 14},
          {"temporal_patch_size", 2},
          {"merge_size", 2},
          {"image_mean", {0.48145466, 0.4578275, 0.40821073}},
          {"image_std", {0.26862954, 0.26130258, 0.27577711}},
          {"image_processor_type", "Qwen2VLImageProcessor"},
          {"processor_class", "Qwen2VLProcessor"}};
}

}  // namespace lriad

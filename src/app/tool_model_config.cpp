#include "tool_model_config.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>
#include <vector>

#include "lriad/core/error.h"
#include "lriad/model/model_family.h"

namespace lriad {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kVocabularyStep = 64;  // the embedding's rows are rounded up to a multiple of this

struct Sizes {
  const char *family, *name;
  int64_t hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary;
  double rope_theta;
  bool tied;
  int64_t vision_depth, vision_dim, vision_heads, vision_intermediate;
  std::vector<int64_t> special_blocks;  ///< that see whole images (qwen2_5_vl) or have a deepstack merger (qwen3_vl)
  int64_t positions = 0;                ///< entries of the position table
};

const std::vector<Sizes>& known_sizes() {
  static const std::vector<Sizes> sizes = {
      {"qwen2_vl", "tiny", 64, 192, 2, 4, 2, 16, 0, 1e4, true, 2, 64, 4, 256, {}},
      {"qwen2_vl", "small", 512, 1536, 8, 8, 2, 64, 0, 1e4, true, 8, 512, 8, 2048, {}},
      {"qwen2_vl", "2b", 1536, 8960, 28, 12, 2, 128, 151936, 1e6, true, 32, 1280, 16, 5120, {}},
      {"qwen2_vl", "7b", 3584, 18944, 28, 28, 4, 128, 152064, 1e6, false, 32, 1280, 16, 5120, {}},
      {"qwen2_5_vl", "tiny", 64, 192, 2, 4, 2, 16, 0, 1e4, true, 2, 64, 4, 176, {1}},
      {"qwen2_5_vl", "small", 512, 1536, 8, 8, 2, 64, 0, 1e4, true, 8, 512, 8, 1376, {1, 3, 5, 7}},
      {"qwen2_5_vl", "3b", 2048, 11008, 36, 16, 2, 128, 151936, 1e6, true, 32, 1280, 16, 3420, {7, 15, 23, 31}},
      {"qwen2_5_vl", "7b", 3584, 18944, 28, 28, 4, 128, 152064, 1e6, false, 32, 1280, 16, 3420, {7, 15, 23, 31}},
      {"qwen3_vl", "tiny", 64, 192, 3, 4, 2, 32, 0, 1e4, true, 2, 64, 4, 256, {0, 1}, 64},
      {"qwen3_vl", "small", 512, 1536, 8, 8, 4, 128, 0, 1e4, true, 8, 512, 8, 2048, {1, 3, 5}, 2304},
      {"qwen3_vl", "2b", 2048, 6144, 28, 16, 8, 128, 151936, 5e6, true, 24, 1024, 16, 4096, {5, 11, 17}, 2304},
      {"qwen3_vl", "4b", 2560, 9728, 36, 32, 8, 128, 151936, 5e6, true, 24, 1024, 16, 4096, {5, 11, 17}, 2304},
      {"qwen3_vl", "8b", 4096, 12288, 36, 32, 8, 128, 151936, 5e6, false, 27, 1152, 16, 4304, {8, 16, 24}, 2304}};
  return sizes;
}

const Sizes& find_sizes(const std::string& family, const std::string& name) {
  std::string names;
  for (const Sizes& one : known_sizes()) {
    if (family != one.family) continue;
    if (name == one.name) return one;
    names += concat(names.empty() ? "" : ", ", one.name);
  }
  if (names.empty()) fail("app", "--family is ", family, ", expected qwen2_vl, qwen2_5_vl or qwen3_vl");
  fail("app", "--size is ", name, ", expected one of ", names, " for ", family);
}

/// Three sections that add up to half of the head dimension, in the published ratio of 2 : 3 : 3, interleaved of
/// 6 : 5 : 5.
std::array<int64_t, 3> mrope_sections(int64_t head_dim, bool interleaved) {
  const int64_t half = head_dim / 2;
  if (interleaved) return {half - 2 * (half * 5 / 16), half * 5 / 16, half * 5 / 16};
  const int64_t first = half / 4, second = (half - first) / 2;
  return {first, second, half - first - second};
}

int64_t id_of(const Tokenizer& tokenizer, const char* token) {
  const auto id = tokenizer.token_id(token);
  if (!id) fail("app", "the tokenizer has no ", token, "; it is not a Qwen-VL's");
  return *id;
}

/// What all families spell alike, then what one spells its own way.
ordered_json vision_json(const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  ordered_json json = {{"depth", v.depth}};
  const auto add = [&](std::initializer_list<std::pair<const char*, ordered_json>> fields) {
    for (const auto& [key, value] : fields) json[key] = value;
  };
  if (config.model_type == "qwen2_vl") {
    add({{"embed_dim", v.embed_dim}, {"mlp_ratio", v.intermediate_size / v.embed_dim}});
  } else {
    add({{"hidden_act", find_model_family(config.model_type)->vision_act},
         {"hidden_size", v.embed_dim},
         {"intermediate_size", v.intermediate_size}});
  }
  add({{"num_heads", v.num_heads}});
  const bool nested = find_model_family(config.model_type)->nested;
  add({{nested ? "in_channels" : "in_chans", v.in_channels},
       {config.model_type == "qwen2_vl" ? "hidden_size" : "out_hidden_size", config.text.hidden_size},
       {"patch_size", v.patch_size},
       {"spatial_merge_size", v.spatial_merge_size}});
  if (!nested) add({{"spatial_patch_size", v.patch_size}});
  add({{"temporal_patch_size", v.temporal_patch_size}});
  if (v.window_size != 0)
    add({{"window_size", v.window_size}, {"fullatt_block_indexes", v.fullatt_block_indexes}, {"tokens_per_second", 2}});
  if (v.num_position_embeddings != 0)
    add({{"num_position_embeddings", v.num_position_embeddings},
         {"deepstack_visual_indexes", v.deepstack_visual_indexes},
         {"model_type", config.model_type}});
  return json;
}

/// The decoder's fields as the flat layout has them.
ordered_json text_json(const ModelConfig& config, const Tokenizer& tokenizer) {
  const TextConfig& t = config.text;
  return {{"attention_dropout", 0.0},
          {"bos_token_id", id_of(tokenizer, "<|endoftext|>")},
          {"eos_token_id", id_of(tokenizer, "<|im_end|>")},
          {"hidden_act", "silu"},
          {"hidden_size", t.hidden_size},
          {"initializer_range", 0.02},
          {"intermediate_size", t.intermediate_size},
          {"max_position_embeddings", 32768},
          {"num_attention_heads", t.num_attention_heads},
          {"num_hidden_layers", t.num_hidden_layers},
          {"num_key_value_heads", t.num_key_value_heads},
          {"rms_norm_eps", t.rms_norm_eps},
          {"rope_theta", t.rope_theta},
          {"use_cache", true},
          {"vocab_size", t.vocab_size}};
}

}  // namespace

ModelConfig named_model_config(const std::string& family, const std::string& size) {
  const Sizes& sizes = find_sizes(family, size);
  const ModelFamily& row = *find_model_family(family);
  ModelConfig config;
  config.model_type = family;
  config.text = row.text;
  config.text.vocab_size = sizes.vocabulary;
  config.text.hidden_size = sizes.hidden;
  config.text.intermediate_size = sizes.intermediate;
  config.text.num_hidden_layers = sizes.layers;
  config.text.num_attention_heads = sizes.heads;
  config.text.num_key_value_heads = sizes.kv_heads;
  config.text.head_dim = sizes.head_dim;
  config.text.rms_norm_eps = 1e-6;
  config.text.rope_theta = sizes.rope_theta;
  config.text.mrope_section = mrope_sections(sizes.head_dim, row.text.mrope_interleaved);
  config.vision = row.vision;
  config.vision.depth = sizes.vision_depth;
  config.vision.embed_dim = sizes.vision_dim;
  config.vision.num_heads = sizes.vision_heads;
  config.vision.intermediate_size = sizes.vision_intermediate;
  config.vision.num_position_embeddings = sizes.positions;
  if (config.vision.window_size != 0) config.vision.fullatt_block_indexes = sizes.special_blocks;
  if (sizes.positions != 0) config.vision.deepstack_visual_indexes = sizes.special_blocks;
  config.tie_word_embeddings = sizes.tied;
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
  const ModelFamily& family = *find_model_family(config.model_type);
  ordered_json text = text_json(config, tokenizer);
  const auto& section = config.text.mrope_section;
  ordered_json root = {{"architectures", {family.architecture}}, {"model_type", config.model_type}};
  if (family.nested) {
    text["model_type"] = config.model_type + "_text";
    text["head_dim"] = config.text.head_dim;
    text["attention_bias"] = false;
    text["dtype"] = dtype;
    text["rope_scaling"] = {{"mrope_interleaved", true}, {"mrope_section", section}, {"rope_type", "default"}};
    root["text_config"] = text;
  } else {
    root.update(text);
    root.update({{"max_window_layers", config.text.num_hidden_layers},
                 {"rope_scaling", {{"type", "mrope"}, {"mrope_section", section}}},
                 {"sliding_window", 32768},
                 {"torch_dtype", dtype},
                 {"use_sliding_window", false},
                 {"vision_token_id", id_of(tokenizer, "<|vision_pad|>")}});
  }
  root.update({{"image_token_id", config.image_token_id},
               {"video_token_id", config.video_token_id},
               {"vision_start_token_id", config.vision_start_token_id},
               {"vision_end_token_id", config.vision_end_token_id},
               {"tie_word_embeddings", config.tie_word_embeddings},
               {"transformers_version", family.nested ? "4.57.0" : "4.41.2"},
               {"vision_config", vision_json(config)}});
  return root;
}

/// The published values; of them only the end tokens act here.
ordered_json generation_config_json(const ModelConfig& config, const Tokenizer& tokenizer) {
  const int64_t end = id_of(tokenizer, "<|im_end|>"), pad = id_of(tokenizer, "<|endoftext|>");
  ordered_json json = {{"bos_token_id", pad}, {"pad_token_id", pad}, {"do_sample", true}, {"eos_token_id", {end, pad}}};
  if (config.model_type == "qwen3_vl") {
    json.update({{"repetition_penalty", 1.0}, {"temperature", 0.7}, {"top_p", 0.8}, {"top_k", 20}});
  } else {
    const bool first = config.model_type == "qwen2_vl";
    json.update({{"repetition_penalty", first ? 1.0 : 1.05},
                 {"temperature", first ? 0.01 : 0.1},
                 {"top_p", 0.001},
                 {"top_k", 1}});
  }
  return json;
}

ordered_json preprocessor_config_json(const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  ordered_json json = {{"patch_size", v.patch_size},
                       {"temporal_patch_size", v.temporal_patch_size},
                       {"merge_size", v.spatial_merge_size},
                       {"image_processor_type", "Qwen2VLImageProcessor"},
                       {"processor_class", find_model_family(config.model_type)->processor_class}};
  if (config.model_type == "qwen3_vl") {
    json.update({{"size", {{"longest_edge", 16777216}, {"shortest_edge", 65536}}},
                 {"image_mean", {0.5, 0.5, 0.5}},
                 {"image_std", {0.5, 0.5, 0.5}}});
  } else {
    json.update({{"min_pixels", 3136},
                 {"max_pixels", 12845056},
                 {"image_mean", {0.48145466, 0.4578275, 0.40821073}},
                 {"image_std", {0.26862954, 0.26130258, 0.27577711}}});
  }
  return json;
}

}  // namespace lriad

#include "lriad/model/model_config.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "config_fields.h"
#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/model/model_family.h"
#include "lriad/model/model_files.h"
#include "lriad/model/model_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void read_rope(const Fields& in, const ModelFamily& family, TextConfig& text) {
  const bool new_style = in.object().contains("rope_parameters") && in.object()["rope_parameters"].is_object();
  const char* key = new_style ? "rope_parameters" : "rope_scaling";
  const json rope = in.object().value(key, json());
  if (!rope.is_object() || !rope.contains("mrope_section"))
    fail("model", in.where(), ": ", key, " has no mrope_section");
  for (const char* kind : {"type", "rope_type"}) {
    if (!rope.contains(kind) || rope[kind] == "default" || (family.mrope_type && rope[kind] == "mrope")) continue;
    fail("model", in.where(), ": ", key, ".", kind, " is ", rope[kind].dump(), ", expected ",
         family.mrope_type ? "mrope or default" : "default");
  }
  const json& with_theta = rope.contains("rope_theta") ? rope : in.object();
  text.rope_theta = Fields(with_theta, in.where()).number("rope_theta", text.rope_theta);
  const json& section = rope["mrope_section"];
  bool good = section.is_array() && section.size() == 3;
  for (std::size_t i = 0; good && i < 3; ++i) {
    good = section[i].is_number_integer() && section[i] >= 0 && section[i] < 100000;
    if (good) text.mrope_section[i] = whole_number(section[i]);
  }
  if (!good || std::accumulate(text.mrope_section.begin(), text.mrope_section.end(), int64_t{0}) * 2 != text.head_dim) {
    fail("model", in.where(), ": mrope_section is ", section.dump(), ", expected three sizes that add up to ",
         text.head_dim / 2, " (half of the head size)");
  }
}

TextConfig read_text(const Fields& in, const ModelFamily& family) {
  TextConfig text = family.text;
  text.vocab_size = in.size("vocab_size", kMostTokens);
  text.hidden_size = in.size("hidden_size", kMostFeatures);
  text.intermediate_size = in.size("intermediate_size", kMostFeatures);
  text.num_hidden_layers = in.size("num_hidden_layers", kMostLayers);
  text.num_attention_heads = in.size("num_attention_heads", kMostFeatures);
  text.num_key_value_heads = in.size("num_key_value_heads", kMostFeatures);
  const bool whole_heads = family.own_head_dim || text.hidden_size % text.num_attention_heads == 0;
  if (!whole_heads || text.num_attention_heads % text.num_key_value_heads != 0) {
    fail("model", in.where(), ": hidden_size ", text.hidden_size, ", num_attention_heads ", text.num_attention_heads,
         " and num_key_value_heads ", text.num_key_value_heads, " do not divide each other");
  }
  text.head_dim =
      family.own_head_dim ? in.size("head_dim", kMostHead, text.head_dim) : text.hidden_size / text.num_attention_heads;
  text.rms_norm_eps = in.number("rms_norm_eps", text.rms_norm_eps);
  in.require_false("use_sliding_window", "sliding windows cannot be computed here");
  in.require_false("attention_bias", "biases of the attention that no published model has cannot be computed here");
  in.require_text("hidden_act", "silu");
  read_rope(in, family, text);
  return text;
}

/// Throws Error for parts of the tower that do not fit its sizes or the decoder's.
void check_vision(const Fields& in, const VisionConfig& vision, const char* width) {
  if (vision.embed_dim % vision.num_heads != 0 || vision.embed_dim / vision.num_heads % 4 != 0 ||
      vision.in_channels != 3) {
    fail("model", in.where(), ": ", width, " ", vision.embed_dim, " needs num_heads (", vision.num_heads,
         ") that give heads of a multiple of 4, and 3 channels");
  }
  const int64_t cell = vision.patch_size * vision.spatial_merge_size;
  if (vision.window_size != 0 && vision.window_size < cell) {
    fail("model", in.where(), ": window_size is ", vision.window_size, ", expected at least ", cell,
         " (patch_size times spatial_merge_size)");
  }
  const std::set<int64_t> deepstack(vision.deepstack_visual_indexes.begin(), vision.deepstack_visual_indexes.end());
  const bool inside = deepstack.empty() || (*deepstack.begin() >= 0 && *deepstack.rbegin() < vision.depth);
  if (!inside || std::ssize(deepstack) != vision.num_deepstack()) {
    fail("model", in.where(), ": deepstack_visual_indexes is ", json(vision.deepstack_visual_indexes).dump(),
         ", expected different blocks from 0 to ", vision.depth - 1);
  }
}

VisionConfig read_vision(const Fields& in, const ModelFamily& family, int64_t text_width) {
  VisionConfig vision = family.vision;
  vision.depth = in.size("depth", kMostLayers, vision.depth);
  vision.embed_dim = in.size(family.vision_width, kMostFeatures, vision.embed_dim);
  vision.num_heads = in.size("num_heads", kMostFeatures, vision.num_heads);
  vision.intermediate_size = vision.mlp == VisionMlpKind::kQuickGelu
                                 ? in.size("mlp_ratio", 1000, 4) * vision.embed_dim
                                 : in.size("intermediate_size", kMostFeatures, vision.intermediate_size);
  vision.in_channels = in.size("in_channels", kMostFeatures, in.size("in_chans", kMostFeatures, 3));
  vision.patch_size = in.size("patch_size", kLongestSide, vision.patch_size);
  vision.temporal_patch_size = in.size("temporal_patch_size", kMostFrames, vision.temporal_patch_size);
  vision.spatial_merge_size = in.size("spatial_merge_size", kMostMerged, vision.spatial_merge_size);
  if (vision.num_position_embeddings != 0)
    vision.num_position_embeddings = in.size("num_position_embeddings", kMostTokens, vision.num_position_embeddings);
  if (vision.window_size != 0) {
    vision.window_size = in.size("window_size", kMostFeatures, vision.window_size);
    vision.fullatt_block_indexes = in.indexes("fullatt_block_indexes", vision.fullatt_block_indexes);
  }
  if (vision.num_deepstack() != 0)
    vision.deepstack_visual_indexes = in.indexes("deepstack_visual_indexes", vision.deepstack_visual_indexes);
  const json rope = in.object().value("rope_parameters", json());
  if (rope.is_object()) vision.rope_theta = Fields(rope, in.where()).number("rope_theta", vision.rope_theta);
  in.require_text("hidden_act", family.vision_act);
  // In Qwen2-VL's vision_config this width is called hidden_size.
  const char* out = family.vision_width == std::string("hidden_size") ? "out_hidden_size" : "hidden_size";
  const int64_t out_width = in.size(out, kMostFeatures, text_width);
  if (out_width != text_width) {
    fail("model", in.where(), ": ", out, " is ", out_width, ", expected ", text_width, " (the decoder's hidden_size)");
  }
  check_vision(in, vision, family.vision_width);
  return vision;
}

bool read_tied(const json& root, const ModelFamily& family, bool nested, const fs::path& path) {
  const auto said = [&](const json& object) {
    const json tied = object.value("tie_word_embeddings", json(false));
    if (!tied.is_boolean())
      fail("model", path.string(), ": tie_word_embeddings is ", tied.dump(), ", expected true or false");
    return tied.get<bool>();
  };
  const bool top = said(root), text = nested && said(root["text_config"]);
  switch (family.tied_in) {
    case TiedIn::kTop:
      return top;
    case TiedIn::kTopOrText:
      return top || text;
    case TiedIn::kTopElseText:
      return root.contains("tie_word_embeddings") ? top : text;
  }
  return top;
}

const ModelFamily& family_of(const json& root, const fs::path& path) {
  const json type = root.value("model_type", json());
  const ModelFamily* family = type.is_string() ? find_model_family(type.get<std::string>()) : nullptr;
  if (family != nullptr) return *family;
  std::string known;
  for (const ModelFamily& one : model_families()) known += concat(known.empty() ? "" : ", ", one.model_type);
  fail("model", path.string(), ": model_type is ", type.dump(), ", expected one of ", known);
}

/// The bytes of a tensor by its canonical name; empty if the folder does not have it.
std::string_view stored_bytes(const std::vector<SafetensorsFile>& files, const std::string& canonical) {
  for (const SafetensorsFile& file : files) {
    for (const TensorEntry& entry : file.entries()) {
      if (canonical_name(entry.name) == canonical) return file.bytes(entry);
    }
  }
  return {};
}

/// Whether the files have a head that is not the embedding.
bool has_own_head(const fs::path& model_dir) {
  if (!has_weights(model_dir)) return false;
  std::vector<SafetensorsFile> files;
  for (const std::string& name : weight_files(model_dir)) {
    if (fs::exists(model_dir / name)) files.emplace_back(model_dir / name);
  }
  const std::string_view head = stored_bytes(files, "lm_head.weight");
  return !head.empty() && head != stored_bytes(files, "model.language_model.embed_tokens.weight");
}

/// Says once that the head is not tied.
void warn_of_own_head(const fs::path& model_dir) {
  static std::once_flag said;
  std::call_once(said, [&] {
    log_warning(concat("[model] ", model_dir.string(), ": config.json ties the head to the embedding, but the weights ",
                       "have a head of their own, which is used, as in transformers 5"));
  });
}

/// Throws Error for weights that are not plain numbers.
void refuse_quantisation(const json& root, const fs::path& path) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    const json quantised = root.value(key, json());
    if (quantised.is_null()) continue;
    const json method = quantised.is_object() ? quantised.value("quant_method", json()) : json();
    fail(
        "model", path.string(), " has a ", key, method.is_string() ? " (" + method.get<std::string>() + ")" : "",
        ": its weights are quantised; take the unquantised model, whose name has no AWQ, GPTQ, bnb, FP8 or Int4 in it");
  }
}

std::vector<int64_t> eos_ids(const fs::path& model_dir, const json& config, int64_t vocab_size) {
  json ids = config.value("eos_token_id", json());
  const fs::path generation = model_dir / "generation_config.json";
  if (fs::exists(generation)) {
    const json found = read_json_object("model", generation).value("eos_token_id", json());
    if (!found.is_null()) ids = found;
  }
  if (ids.is_number_integer()) ids = json::array({ids});
  if (ids.is_null() && config.contains("text_config") && config["text_config"].is_object())
    return eos_ids(model_dir, config["text_config"], vocab_size);
  bool good = ids.is_array() && !ids.empty();
  for (const json& id : ids) good = good && id.is_number_integer() && id >= 0 && whole_number(id) < vocab_size;
  if (!good)
    fail("model", model_dir.string(), ": eos_token_id is ", ids.dump(), ", expected an id or a list of ids below ",
         vocab_size);
  return ids.get<std::vector<int64_t>>();
}

}  // namespace

std::vector<int64_t> ModelConfig::banned_ids() const {
  return {image_token_id, video_token_id, vision_start_token_id, vision_end_token_id};
}

ModelConfig read_model_config(const fs::path& model_dir) {
  const fs::path path = model_dir / "config.json";
  const json root = read_json_object("model", path);
  const Fields top(root, path.string());
  const ModelFamily& family = family_of(root, path);
  refuse_quantisation(root, path);
  const bool nested = root.contains("text_config") && root["text_config"].is_object();
  ModelConfig config;
  config.model_type = family.model_type;
  config.text =
      read_text(Fields(nested ? root["text_config"] : root, path.string() + (nested ? " text_config" : "")), family);
  if (!root.contains("vision_config") || !root["vision_config"].is_object())
    fail("model", path.string(), " has no vision_config");
  config.vision =
      read_vision(Fields(root["vision_config"], path.string() + " vision_config"), family, config.text.hidden_size);
  config.tie_word_embeddings = read_tied(root, family, nested, path);
  if (config.tie_word_embeddings && has_own_head(model_dir)) {
    warn_of_own_head(model_dir);
    config.tie_word_embeddings = false;
  }
  config.image_token_id = top.id("image_token_id", 151655);
  config.video_token_id = top.id("video_token_id", 151656);
  config.vision_start_token_id = top.id("vision_start_token_id", 151652);
  config.vision_end_token_id = top.id("vision_end_token_id", 151653);
  config.eos_token_ids = eos_ids(model_dir, root, config.text.vocab_size);
  return config;
}

}  // namespace lriad

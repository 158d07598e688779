#include "lriad/model/model_config.h"

#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Far beyond any model and small enough for the sizes of its tensors to be multiplied.
constexpr int64_t kMostTokens = 1 << 24, kMostFeatures = 1'000'000, kMostLayers = 10'000, kLongestSide = 1024,
                  kMostFrames = 16, kMostMerged = 16;

/// One object of config.json with the name it has in messages.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  int64_t size(const char* key, int64_t most, std::optional<int64_t> fallback = {}) const {
    return whole(key, 1, most, fallback);
  }
  int64_t id(const char* key, int64_t fallback) const { return whole(key, 0, kMostTokens, fallback); }

  double number(const char* key, double fallback) const {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return fallback;
    if (!found->is_number() || *found <= 0)
      fail("model", where_, ": ", key, " is ", found->dump(), ", expected a number > 0");
    return found->get<double>();
  }

  void require_text(const char* key, const std::string& wanted) const {
    if (object_.contains(key) && object_[key] != wanted) {
      fail("model", where_, ": ", key, " is ", object_[key].dump(), ", expected \"", wanted, "\"");
    }
  }

  const json& object() const { return object_; }
  const std::string& where() const { return where_; }

 private:
  int64_t whole(const char* key, int64_t least, int64_t most, std::optional<int64_t> fallback) const {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) {
      if (fallback) return *fallback;
      fail("model", where_, " has no ", key);
    }
    if (!found->is_number_integer() || *found < least || *found > most) {
      fail("model", where_, ": ", key, " is ", found->dump(), ", expected a whole number from ", least, " to ", most);
    }
    return found->get<int64_t>();
  }

  const json& object_;
  std::string where_;
};

void read_rope(const Fields& in, TextConfig& text) {
  const bool new_style = in.object().contains("rope_parameters") && in.object()["rope_parameters"].is_object();
  const char* key = new_style ? "rope_parameters" : "rope_scaling";
  const json rope = in.object().value(key, json());
  if (!rope.is_object() || !rope.contains("mrope_section"))
    fail("model", in.where(), ": ", key, " has no mrope_section");
  for (const char* kind : {"type", "rope_type"}) {
    if (rope.contains(kind) && rope[kind] != "mrope" && rope[kind] != "default") {
      fail("model", in.where(), ": ", key, ".", kind, " is ", rope[kind].dump(), ", expected mrope or default");
    }
  }
  text.rope_theta = Fields(new_style ? rope : in.object(), in.where()).number("rope_theta", 1e6);
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

TextConfig read_text(const Fields& in) {
  TextConfig text;
  text.vocab_size = in.size("vocab_size", kMostTokens);
  text.hidden_size = in.size("hidden_size", kMostFeatures);
  text.intermediate_size = in.size("intermediate_size", kMostFeatures);
  text.num_hidden_layers = in.size("num_hidden_layers", kMostLayers);
  text.num_attention_heads = in.size("num_attention_heads", kMostFeatures);
  text.num_key_value_heads = in.size("num_key_value_heads", kMostFeatures);
  if (text.hidden_size % text.num_attention_heads != 0 || text.num_attention_heads % text.num_key_value_heads != 0) {
    fail("model", in.where(), ": hidden_size ", text.hidden_size, ", num_attention_heads ", text.num_attention_heads,
         " and num_key_value_heads ", text.num_key_value_heads, " do not divide each other");
  }
  text.head_dim = text.hidden_size / text.num_attention_heads;
  text.rms_norm_eps = in.number("rms_norm_eps", 1e-6);
  if (in.object().value("use_sliding_window", json(false)) == true) {
    fail("model", in.where(), ": use_sliding_window is true, expected false: sliding windows cannot be computed here");
  }
  in.require_text("hidden_act", "silu");
  read_rope(in, text);
  return text;
}

VisionConfig read_vision(const Fields& in) {
  VisionConfig vision;
  vision.depth = in.size("depth", kMostLayers, 32);
  vision.embed_dim = in.size("embed_dim", kMostFeatures, 1280);
  vision.num_heads = in.size("num_heads", kMostFeatures, 16);
  vision.mlp_ratio = in.size("mlp_ratio", 1000, 4);
  vision.in_channels = in.size("in_channels", kMostFeatures, in.size("in_chans", kMostFeatures, 3));
  vision.patch_size = in.size("patch_size", kLongestSide, 14);
  vision.temporal_patch_size = in.size("temporal_patch_size", kMostFrames, 2);
  vision.spatial_merge_size = in.size("spatial_merge_size", kMostMerged, 2);
  in.require_text("hidden_act", "quick_gelu");
  if (vision.embed_dim % vision.num_heads != 0 || vision.embed_dim / vision.num_heads % 4 != 0 ||
      vision.in_channels != 3) {
    fail("model", in.where(), ": embed_dim ", vision.embed_dim, " needs num_heads (", vision.num_heads,
         ") that give heads of a multiple of 4, and 3 channels");
  }
  return vision;
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
  if (root.value("model_type", json()) != "qwen2_vl") {
    fail("model", path.string(), ": model_type is ", root.value("model_type", json()).dump(),
         ", expected \"qwen2_vl\"");
  }
  if (root.contains("quantization_config")) {
    fail("model", path.string(), " has a quantization_config; use the unquantised checkpoint");
  }
  const bool nested = root.contains("text_config") && root["text_config"].is_object();
  ModelConfig config;
  config.text = read_text(Fields(nested ? root["text_config"] : root, path.string() + (nested ? " text_config" : "")));
  if (!root.contains("vision_config") || !root["vision_config"].is_object())
    fail("model", path.string(), " has no vision_config");
  config.vision = read_vision(Fields(root["vision_config"], path.string() + " vision_config"));
  const json tied = root.contains("tie_word_embeddings") || !nested
                        ? root.value("tie_word_embeddings", json(false))
                        : root["text_config"].value("tie_word_embeddings", json(false));
  if (!tied.is_boolean())
    fail("model", path.string(), ": tie_word_embeddings is ", tied.dump(), ", expected true or false");
  config.tie_word_embeddings = tied.get<bool>();
  config.image_token_id = top.id("image_token_id", 151655);
  config.video_token_id = top.id("video_token_id", 151656);
  config.vision_start_token_id = top.id("vision_start_token_id", 151652);
  config.vision_end_token_id = top.id("vision_end_token_id", 151653);
  config.eos_token_ids = eos_ids(model_dir, root, config.text.vocab_size);
  return config;
}

}  // namespace lriad

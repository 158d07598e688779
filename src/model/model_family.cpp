#include "lriad/model/model_family.h"

#include <algorithm>
#include <array>

namespace lriad {
namespace {

TextConfig text_config(double rms_norm_eps, double rope_theta) {
  TextConfig text;
  text.rms_norm_eps = rms_norm_eps;
  text.rope_theta = rope_theta;
  return text;
}

VisionConfig vision_config(NormKind norm, VisionMlpKind mlp) {
  VisionConfig vision;
  vision.norm = norm;
  vision.mlp = mlp;
  return vision;
}

ModelFamily qwen2_vl() {
  return {.model_type = "qwen2_vl",
          .architecture = "Qwen2VLForConditionalGeneration",
          .processor_class = "Qwen2VLProcessor",
          .vision_act = "quick_gelu",
          .vision_width = "embed_dim",
          .own_head_dim = false,
          .mrope_type = true,
          .old_names = true,
          .nested = false,
          .tied_in = TiedIn::kTopElseText,
          .text = text_config(1e-6, 1e6),
          .vision = vision_config(NormKind::kLayerNorm, VisionMlpKind::kQuickGelu)};
}

ModelFamily qwen2_5_vl() {
  ModelFamily family = {.model_type = "qwen2_5_vl",
                        .architecture = "Qwen2_5_VLForConditionalGeneration",
                        .processor_class = "Qwen2_5_VLProcessor",
                        .vision_act = "silu",
                        .vision_width = "hidden_size",
                        .own_head_dim = false,
                        .mrope_type = true,
                        .old_names = true,
                        .nested = false,
                        .tied_in = TiedIn::kTopOrText,
                        .text = text_config(1e-5, 1e6),
                        .vision = vision_config(NormKind::kRmsNorm, VisionMlpKind::kSiluGate)};
  family.vision.intermediate_size = 3420;
  family.vision.window_size = 112;
  family.vision.fullatt_block_indexes = {7, 15, 23, 31};
  return family;
}

ModelFamily qwen3_vl() {
  ModelFamily family = {.model_type = "qwen3_vl",
                        .architecture = "Qwen3VLForConditionalGeneration",
                        .processor_class = "Qwen3VLProcessor",
                        .vision_act = "gelu_pytorch_tanh",
                        .vision_width = "hidden_size",
                        .own_head_dim = true,
                        .mrope_type = false,
                        .old_names = false,
                        .nested = true,
                        .tied_in = TiedIn::kTop,
                        .text = text_config(1e-6, 5e5),
                        .vision = vision_config(NormKind::kLayerNorm, VisionMlpKind::kTanhGelu)};
  family.text.head_dim = 128;
  family.text.mrope_section = {24, 20, 20};
  family.text.mrope_interleaved = true;
  family.text.qkv_bias = false;
  family.text.qk_norm = true;
  family.vision.patch_size = 16;
  family.vision.patch_bias = true;
  family.vision.merger_names = {"norm", "linear_fc1", "linear_fc2"};
  family.vision.num_position_embeddings = 2304;
  family.vision.deepstack_visual_indexes = {8, 16, 24};
  return family;
}

}  // namespace

std::span<const ModelFamily> model_families() {
  static const std::array families = {qwen2_vl(), qwen2_5_vl(), qwen3_vl()};
  return families;
}

const ModelFamily* find_model_family(const std::string& model_type) {
  const auto families = model_families();
  const auto found = std::ranges::find(families, model_type, &ModelFamily::model_type);
  return found == families.end() ? nullptr : &*found;
}

std::string published_name(const std::string& canonical, const ModelFamily& family) {
  if (!family.old_names) return canonical;
  const std::string visual = "model.visual.", text = "model.language_model.";
  if (canonical.starts_with(visual)) return "visual." + canonical.substr(visual.size());
  if (canonical.starts_with(text)) return "model." + canonical.substr(text.size());
  return canonical;
}

}  // namespace lriad

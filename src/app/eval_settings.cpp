#include "eval_settings.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lriad/core/files.h"
#include "lriad/core/version.h"
#include "lriad/model/load_model.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().generic_string();
}

/// Hash of everything that determines the prompt's text.
std::string prompt_hash(const Config& config) {
  const nlohmann::json parts = {config.prompt.template_text,
                                config.prompt.system ? nlohmann::json(*config.prompt.system) : nlohmann::json(nullptr),
                                config.data.object_names};
  return sha256_hex(parts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void set_data(Settings& settings, const EvalCommandLine& line, const Config& config) {
  if (!line.images.empty()) {
    settings.set("data", std::optional<std::string>());
    settings.set("object", line.object);
    return;
  }
  settings.set("data", absolute(config.data.root));
  settings.set("data_format", config.data.format);
}

}  // namespace

Settings answer_settings(const EvalCommandLine& line, const Config& config, const at::Device& device) {
  Settings settings;
  set_data(settings, line, config);
  settings.set("model", absolute(config.model.path));
  settings.set("adapter", config.model.adapter ? std::optional(absolute(*config.model.adapter)) : std::nullopt);
  settings.set("dtype", dtype_name(scalar_type(config.model.dtype)));
  settings.set("device", device.is_cuda() ? "cuda" : "cpu");
  settings.set("prompt_sha256", prompt_hash(config));
  if (const ReferenceSection& reference = config.data.reference; reference.normal > 0) {
    settings.set("reference_normal", reference.normal);
    settings.set("reference_root", absolute(reference.root.value_or(config.data.root)));
    settings.set("seed", static_cast<int64_t>(config.seed));
  }
  settings.set("image_min_pixels", config.image.min_pixels);
  settings.set("image_max_pixels", config.image.max_pixels);
  settings.set("image_backend", config.image.backend == ResizeBackend::kPil ? "pil" : "torchvision");
  settings.set("image_sixteen_bit", config.image.sixteen_bit == SixteenBit::kSaturate ? "saturate" : "scale");
  settings.set("max_new_tokens", config.eval.max_new_tokens);
  settings.set("temperature", config.eval.temperature);
  settings.set("ban_vision_tokens", config.rollout.ban_vision_tokens);
  settings.set("token_ids", line.token_ids);
  settings.set("logprobs", line.logprobs);
  if (line.maps) settings.set("maps", true);
  if (config.eval.temperature > 0) settings.set("seed", static_cast<int64_t>(config.seed));
  return settings;
}

Settings import_settings(const EvalCommandLine& line, const Config& config) {
  Settings settings;
  set_data(settings, line, config);
  settings.set("import", absolute(line.import_file));
  return settings;
}

Settings with_scoring(Settings settings, const Config& config) {
  settings.set("invalid", config.eval.invalid_extra_class ? "extra_class" : "wrong");
  settings.set("version", kVersion);
  settings.set("git", git_revision());
  settings.set("libtorch", kTorchVersion);
  settings.set("cuda", kCudaVersion);
  return settings;
}

}  // namespace lriad

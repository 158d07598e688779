#include "lriad/config/model_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/json.h"
#include "core/json_null.h"
#include "lriad/config/prompt_template.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// A value of an enumeration and its spelling in the file.
template <class T>
struct Choice {
  const char* name;
  T value;
};
constexpr Choice<ResizeBackend> kBackends[] = {{"pil", ResizeBackend::kPil},
                                               {"torchvision", ResizeBackend::kTorchvision}};
constexpr Choice<SixteenBit> kSixteenBits[] = {{"saturate", SixteenBit::kSaturate}, {"scale", SixteenBit::kScale}};

template <class T, size_t n>
const char* name_of(const Choice<T> (&choices)[n], T value) {
  return std::ranges::find(choices, value, &Choice<T>::value)->name;
}

template <class T, size_t n>
T value_of(const Choice<T> (&choices)[n], const std::string& name) {
  for (const Choice<T>& choice : choices) {
    if (name == choice.name) return choice.value;
  }
  throw std::invalid_argument("no setting is called " + name);
}

Json settings_json(const ModelSettings& s) {
  Json out;
  out["prompt"] = {{"template", s.prompt_template}, {"system", or_null(s.system)}};
  out["image"] = {{"min_pixels", s.image.min_pixels},
                  {"max_pixels", s.image.max_pixels},
                  {"backend", name_of(kBackends, s.image.backend)},
                  {"sixteen_bit", name_of(kSixteenBits, s.image.sixteen_bit)}};
  out["object_names"] = s.object_names;
  out["letters"] = {{"A", s.letter_a}, {"B", s.letter_b}};
  out["threshold"] = or_null(s.threshold);
  if (s.threshold) out["threshold_chosen_on"] = s.threshold_chosen_on;
  out["reference"] = s.reference_normal > 0 ? Json{{"normal", s.reference_normal}} : Json(nullptr);
  if (s.chosen_on)
    out["chosen_on"] = {{"root", s.chosen_on->root}, {"split", s.chosen_on->split}, {"metric", s.chosen_on->metric}};
  out["program"] = s.program;
  out["version"] = s.version;
  return out;
}

template <class T>
std::optional<T> optional_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->template get<T>();
}

int64_t whole_member(const Json& root, const char* section, const char* key) {
  const Json& value = root.at(section).at(key);
  if (!value.is_number_integer())
    throw std::invalid_argument(concat(section, ".", key, " is ", value.dump(), ", expected a whole number"));
  return value.get<int64_t>();
}

ImageSection read_image(const Json& root) {
  ImageSection section;
  section.min_pixels = whole_member(root, "image", "min_pixels");
  section.max_pixels = whole_member(root, "image", "max_pixels");
  const Json& image = root.at("image");
  section.backend = value_of(kBackends, image.at("backend").get<std::string>());
  if (image.contains("sixteen_bit"))
    section.sixteen_bit = value_of(kSixteenBits, image.at("sixteen_bit").get<std::string>());
  if (section.min_pixels < 1 || section.max_pixels < section.min_pixels)
    throw std::invalid_argument("image.min_pixels and image.max_pixels are no limits of an area");
  return section;
}

ModelSettings read_settings(const Json& root) {
  ModelSettings s;
  s.prompt_template = root.at("prompt").at("template").get<std::string>();
  s.system = optional_member<std::string>(root.at("prompt"), "system");
  s.image = read_image(root);
  if (const auto reference = root.find("reference"); reference != root.end() && !reference->is_null())
    s.reference_normal = whole_member(root, "reference", "normal");
  if (s.reference_normal < 0) throw std::invalid_argument("reference.normal is below 0");
  s.object_names = root.at("object_names").get<std::map<std::string, std::string>>();
  s.letter_a = whole_member(root, "letters", "A");
  s.letter_b = whole_member(root, "letters", "B");
  s.threshold = optional_member<double>(root, "threshold");
  s.threshold_chosen_on = optional_member<std::string>(root, "threshold_chosen_on").value_or("unknown images");
  if (const auto chosen = root.find("chosen_on"); chosen != root.end() && !chosen->is_null()) {
    s.chosen_on = {chosen->at("root").get<std::string>(), chosen->at("split").get<std::string>(),
                   chosen->at("metric").get<std::string>()};
  }
  s.program = root.at("program").get<std::string>();
  s.version = root.at("version").get<std::string>();
  return s;
}

}  // namespace

ModelSettings model_settings(const Config& config) {
  ModelSettings settings;
  settings.prompt_template = config.prompt.template_text;
  settings.system = config.prompt.system;
  settings.image = config.image;
  settings.reference_normal = config.data.reference.normal;
  settings.object_names = config.data.object_names;
  return settings;
}

void write_model_settings(const fs::path& folder, const ModelSettings& settings) {
  write_file_atomic(
      "config", folder / kModelSettingsFile,
      settings_json(settings).dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

std::optional<ModelSettings> read_model_settings(const fs::path& folder) {
  const fs::path path = folder / kModelSettingsFile;
  if (!fs::exists(path)) return std::nullopt;
  const Json root = read_json_object<Json>("config", path);
  try {
    return read_settings(root);
  } catch (const nlohmann::json::exception& error) {
    fail("config", path.string(), ": ", error.what(), "; restore the file, or remove it and give the config");
  } catch (const std::invalid_argument& error) {
    fail("config", path.string(), ": ", error.what(), "; restore the file, or remove it and give the config");
  }
}

std::vector<std::string> apply_model_settings(LoadedConfig& loaded, const ModelSettings& settings) {
  std::vector<std::string> different;
  const auto apply = [&](const char* key, auto& value, const auto& trained) {
    if (value == trained) return;
    const auto origin = loaded.origins.find(key);
    if (origin == loaded.origins.end() || origin->second == "default") {
      value = trained;
    } else {
      different.push_back(concat(key, " of ", origin->second, " differs from what the model was trained with"));
    }
  };
  Config& config = loaded.config;
  apply("data.reference.normal", config.data.reference.normal, settings.reference_normal);
  fit_to_reference(config);  // a default template of the config goes with the images, before it is compared
  apply("prompt.template", config.prompt.template_text, settings.prompt_template);
  apply("prompt.system", config.prompt.system, settings.system);
  apply("image.min_pixels", config.image.min_pixels, settings.image.min_pixels);
  apply("image.max_pixels", config.image.max_pixels, settings.image.max_pixels);
  apply("image.backend", config.image.backend, settings.image.backend);
  apply("image.sixteen_bit", config.image.sixteen_bit, settings.image.sixteen_bit);
  apply("data.object_names", config.data.object_names, settings.object_names);
  fit_to_reference(config);
  return different;
}

}  // namespace lriad

#include "lriad/vision/image_processor.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

// Far beyond any model, and no trouble for memory or floats.
constexpr int64_t kMaxFactor = 2048;
constexpr double kMostMean = 1000, kLeastStd = 1e-6;
constexpr int64_t kMaxAspect = 200;  // of smart_resize in image_processing_qwen2_vl.py

using nlohmann::json;

/// Value of every byte after rescaling and normalisation, per channel, in float32 as transformers computes it.
std::vector<float> byte_values(const ImageSettings& settings) {
  std::vector<float> table(3 * 256);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto mean = static_cast<float>(settings.mean[c]), std = static_cast<float>(settings.std[c]);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      if (settings.backend == ResizeBackend::kPil) {
        const auto value = static_cast<float>(static_cast<double>(byte) * (1.0 / 255));
        table[c * 256 + byte] = (value - mean) / std;
      } else {
        table[c * 256 + byte] = (static_cast<float>(byte) - mean * 255.0f) / (std * 255.0f);
      }
    }
  }
  return table;
}

void read_triple(const json& root, const char* key, const std::string& file, std::array<double, 3>& out) {
  if (root.value(key, json()).is_null()) return;
  const json& list = root[key];
  bool good = list.is_array() && list.size() == 3;
  for (std::size_t i = 0; good && i < 3; ++i)
    good = list[i].is_number() && std::abs(list[i].get<double>()) <= kMostMean;
  if (!good) fail("vision", file, ": ", key, " is ", list.dump(), ", expected three numbers up to ", kMostMean);
  for (std::size_t i = 0; i < 3; ++i) out[i] = list[i].get<double>();
}

void read_size(const json& root, const char* key, int64_t most, const std::string& file, int64_t& out) {
  if (root.value(key, json()).is_null()) return;
  if (!root[key].is_number_integer() || root[key] < 1 || root[key] > most)
    fail("vision", file, ": ", key, " is ", root[key].dump(), ", expected a whole number from 1 to ", most);
  out = root[key].get<int64_t>();
}

/// A folder's image settings and the name they have in messages. transformers reads processor_config.json first and
/// takes the older file where that says nothing of images.
std::pair<std::string, json> find_settings(const std::filesystem::path& model_dir) {
  const std::filesystem::path whole = model_dir / "processor_config.json", old = model_dir / "preprocessor_config.json";
  if (std::filesystem::exists(whole)) {
    const json root = read_json_object("vision", whole);
    if (const auto found = root.find("image_processor"); found != root.end() && found->is_object())
      return {whole.string() + " image_processor", *found};
  }
  if (!std::filesystem::exists(old)) {
    fail("vision", model_dir.string(), " has no preprocessor_config.json and no processor_config.json with an ",
         "image_processor; take the files of the published model");
  }
  return {old.string(), read_json_object("vision", old)};
}

/// Throws Error for another kind of processor, and for steps that are switched off or otherwise than computed here.
void check_steps(const json& root, const std::string& file) {
  const json type = root.value("image_processor_type", json()), size = root.value("size", json());
  if (!type.is_null() && !(type.is_string() && type.get<std::string>().starts_with("Qwen")))
    fail("vision", file, ": image_processor_type is ", type.dump(),
         ", expected Qwen2VLImageProcessor or a later Qwen's");
  for (const auto& [key, value] : size.items()) {
    const bool area = key == "shortest_edge" || key == "longest_edge" || key == "min_pixels" || key == "max_pixels";
    if (!size.is_object() || !area)
      fail("vision", file, ": size is ", size.dump(), ", expected limits of the area, shortest_edge and longest_edge");
  }
  const json steps = {{"do_resize", true}, {"do_rescale", true}, {"do_normalize", true}, {"resample", 3}};
  for (const auto& [key, wanted] : steps.items()) {
    const json got = root.value(key, json());
    if (!got.is_null() && got != wanted)
      fail("vision", file, ": ", key, " is ", got.dump(), ", expected ", wanted.dump());
  }
  const json factor = root.value("rescale_factor", json());
  if (!factor.is_null() && !(factor.is_number() && std::abs(factor.get<double>() * 255 - 1) < 1e-9))
    fail("vision", file, ": rescale_factor is ", factor.dump(), ", expected 1/255");
}

}  // namespace

ImageSettings read_image_settings(const std::filesystem::path& model_dir, const ImageSection& section) {
  ImageSettings settings;
  settings.min_pixels = section.min_pixels;
  settings.max_pixels = section.max_pixels;
  settings.backend = section.backend;
  settings.sixteen_bit = section.sixteen_bit;
  const auto [file, root] = find_settings(model_dir);
  check_steps(root, file);
  read_size(root, "patch_size", 1024, file, settings.patch_size);
  read_size(root, "temporal_patch_size", 16, file, settings.temporal_patch_size);
  read_size(root, "merge_size", 16, file, settings.merge_size);
  if (settings.patch_size * settings.merge_size > kMaxFactor) {
    fail("vision", file, ": patch_size ", settings.patch_size, " times merge_size ", settings.merge_size,
         " is the least side of an image, expected at most ", kMaxFactor);
  }
  read_triple(root, "image_mean", file, settings.mean);
  read_triple(root, "image_std", file, settings.std);
  for (const double std : settings.std) {
    if (!(std >= kLeastStd)) {
      fail("vision", file, ": image_std is ", root["image_std"].dump(), ", expected three numbers from ", kLeastStd);
    }
  }
  return settings;
}

std::array<int64_t, 2> smart_resize(int64_t height, int64_t width, int64_t factor, int64_t min_pixels,
                                    int64_t max_pixels) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width), step = static_cast<double>(factor);
  const double aspect = std::max(h, w) / std::min(h, w);
  if (!(aspect <= kMaxAspect)) {
    fail("vision", "absolute aspect ratio must be smaller than ", kMaxAspect, ", got ", aspect);
  }
  double new_h = std::nearbyint(h / step) * step, new_w = std::nearbyint(w / step) * step;
  if (new_h * new_w > static_cast<double>(max_pixels)) {
    const double beta = std::sqrt(h * w / static_cast<double>(max_pixels));
    new_h = std::max(step, std::floor(h / beta / step) * step);
    new_w = std::max(step, std::floor(w / beta / step) * step);
  } else if (new_h * new_w < static_cast<double>(min_pixels)) {
    const double beta = std::sqrt(static_cast<double>(min_pixels) / (h * w));
    new_h = std::ceil(h * beta / step) * step;
    new_w = std::ceil(w * beta / step) * step;
  }
  return {static_cast<int64_t>(new_h), static_cast<int64_t>(new_w)};
}

Patches make_patches(const Image& image, const ImageSettings& settings) {
  const int64_t patch = settings.patch_size, merge = settings.merge_size;
  Patches patches;
  patches.grid = {1, image.height / patch, image.width / patch};
  const auto table = byte_values(settings);
  patches.values.reserve(static_cast<std::size_t>(image.height * image.width * 3 * settings.temporal_patch_size));
  const auto append_patch = [&](int64_t top, int64_t left) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (int64_t frame = 0; frame < settings.temporal_patch_size; ++frame) {
        for (int64_t y = 0; y < patch; ++y) {
          const uint8_t* row = image.rgb.data() + ((top + y) * image.width + left) * 3 + static_cast<int64_t>(c);
          for (int64_t x = 0; x < patch; ++x) patches.values.push_back(table[c * 256 + row[3 * x]]);
        }
      }
    }
  };
  for (int64_t i = 0; i < patches.grid[1] / merge; ++i) {
    for (int64_t j = 0; j < patches.grid[2] / merge; ++j) {
      for (int64_t k = 0; k < merge * merge; ++k) {
        append_patch((i * merge + k / merge) * patch, (j * merge + k % merge) * patch);
      }
    }
  }
  return patches;
}

Patches process_image(const std::filesystem::path& path, const ImageSettings& settings) {
  const Image image = decode_image(path, settings.backend, settings.sixteen_bit);
  const int64_t longer = std::max(image.height, image.width), shorter = std::min(image.height, image.width);
  if (longer > kMaxAspect * shorter) {
    fail("vision", path.string(), " is ", image.height, " x ", image.width, ", an aspect ratio over ", kMaxAspect);
  }
  const auto [height, width] = smart_resize(image.height, image.width, settings.patch_size * settings.merge_size,
                                            settings.min_pixels, settings.max_pixels);
  return make_patches(resize_bicubic(image, height, width, settings.backend), settings);
}

}  // namespace lriad

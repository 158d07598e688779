#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "lriad/core/error.h"
#include "lriad/model/model_folder.h"
#include "lriad/model/safetensors.h"
#include "lriad/vision/image_processor.h"
#include "tool_commands.h"
#include "tool_new_folder.h"

namespace lriad {
namespace {

struct PreprocessOptions {
  std::string model, output;
  std::string backend = "pil";
  ImageSection image;
  std::vector<std::string> images;
};

at::Tensor copy_of(const void* data, at::IntArrayRef shape, at::ScalarType type) {
  // from_blob takes a mutable pointer; clone only reads it.
  return at::from_blob(const_cast<void*>(data), shape, type).clone();
}

ImageSettings settings_of(PreprocessOptions& options) {
  if (options.backend != "pil" && options.backend != "torchvision") {
    fail("app", "--backend is ", options.backend, ", expected pil or torchvision");
  }
  options.image.backend = options.backend == "pil" ? ResizeBackend::kPil : ResizeBackend::kTorchvision;
  if (options.image.min_pixels < 1 || options.image.max_pixels < options.image.min_pixels) {
    fail("app", "--min-pixels is ", options.image.min_pixels, " and --max-pixels ", options.image.max_pixels,
         ", expected 1 <= min <= max");
  }
  if (!std::filesystem::is_directory(options.model)) fail("app", "--model ", options.model, " is not a folder");
  return read_image_settings(hub_snapshot(options.model), options.image);
}

void preprocess(PreprocessOptions options) {
  const ImageSettings settings = settings_of(options);
  std::map<std::string, at::Tensor> tensors;
  std::vector<at::Tensor> values;
  std::vector<int64_t> grids;
  for (std::size_t k = 0; k < options.images.size(); ++k) {
    const Image image = decode_image(options.images[k], settings.backend);
    const auto [height, width] = smart_resize(image.height, image.width, settings.patch_size * settings.merge_size,
                                              settings.min_pixels, settings.max_pixels);
    const Image resized = resize_bicubic(image, height, width, settings.backend);
    const Patches patches = make_patches(resized, settings);
    const int64_t rows = patches.grid[0] * patches.grid[1] * patches.grid[2];
    const auto columns = static_cast<int64_t>(patches.values.size()) / rows;
    values.push_back(copy_of(patches.values.data(), {rows, columns}, at::kFloat));
    grids.insert(grids.end(), patches.grid.begin(), patches.grid.end());
    tensors[concat("resized_uint8_", k)] = copy_of(resized.rgb.data(), {height, width, 3}, at::kByte);
  }
  tensors["pixel_values"] = at::cat(values);
  tensors["image_grid_thw"] = copy_of(grids.data(), {static_cast<int64_t>(options.images.size()), 3}, at::kLong);
  write_safetensors(output_path(options.output), tensors);
  std::cout << options.images.size() << " images, " << tensors["pixel_values"].size(0) << " patches: " << options.output
            << "\n";
}

}  // namespace

void add_preprocess_command(CLI::App& app) {
  const auto options = std::make_shared<PreprocessOptions>();
  CLI::App* command =
      app.add_subcommand("preprocess", "Writes what the model is shown of images to a safetensors file");
  command->add_option("--model", options->model, "model folder, for its image settings")->required();
  command->add_option("--output", options->output, "safetensors file to write")->required();
  command->add_option("--min-pixels", options->image.min_pixels, "smaller images are enlarged")->capture_default_str();
  command->add_option("--max-pixels", options->image.max_pixels, "larger images are shrunk")->capture_default_str();
  command->add_option("--backend", options->backend, "whose resize to follow: pil or torchvision")
      ->capture_default_str();
  command->add_option("images", options->images, "PNG, JPEG, BMP, TIFF, WebP or GIF files")->required();
  command->callback([options] { preprocess(*options); });
}

}  // namespace lriad

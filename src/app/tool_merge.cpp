#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/json.h"
#include "lriad/config/model_settings.h"
#include "lriad/model/model_folder.h"
#include "lriad/model/write_model.h"
#include "tool_commands.h"
#include "tool_dtype.h"
#include "tool_new_folder.h"

namespace lriad {
namespace {

struct MergeOptions {
  std::string model, adapter, output;
  std::string dtype = "bfloat16";
};

using Json = nlohmann::ordered_json;

/// Sets the limits of an image's area by the names that transformers has used for them.
void set_pixel_limits(Json& processor, const ImageSection& image) {
  processor["min_pixels"] = image.min_pixels;
  processor["max_pixels"] = image.max_pixels;
  if (processor.contains("size") && processor["size"].is_object()) {
    processor["size"]["shortest_edge"] = image.min_pixels;
    processor["size"]["longest_edge"] = image.max_pixels;
  }
}

/// transformers reads the image processor from either file, the first that it finds.
void set_pixel_limits(const std::filesystem::path& folder, const ImageSection& image) {
  for (const char* name : {"processor_config.json", "preprocessor_config.json"}) {
    if (!std::filesystem::exists(folder / name)) continue;
    Json config = read_json_object<Json>("app", folder / name);
    const bool whole = std::string_view(name) == "processor_config.json";
    if (whole && !config.contains("image_processor")) continue;
    set_pixel_limits(whole ? config["image_processor"] : config, image);
    write_file_atomic("app", folder / name, config.dump(2) + "\n");
  }
}

/// Takes the settings that the adapter was trained with into the merged folder.
void carry_settings(const std::filesystem::path& adapter, const std::filesystem::path& merged) {
  const std::optional<ModelSettings> settings = read_model_settings(adapter);
  if (!settings) return;
  write_model_settings(merged, *settings);
  set_pixel_limits(merged, settings->image);
}

void merge(const MergeOptions& options) {
  const at::ScalarType dtype = dtype_option(options.dtype);
  NewFolder folder(options.output);
  const std::filesystem::path adapter = adapter_folder(options.adapter);
  merge_adapter(model_folder(options.model), adapter, folder.making(), dtype);
  carry_settings(adapter, folder.making());
  folder.finish();
  std::cout << "merged model, " << options.dtype << ": " << folder.target().string() << "\n";
}

}  // namespace

void add_merge_command(CLI::App& app) {
  const auto options = std::make_shared<MergeOptions>();
  CLI::App* command = app.add_subcommand("merge", "Adds an adapter to its model's weights, as PEFT's merge_and_unload");
  command->add_option("--model", options->model, "model folder")->required();
  command->add_option("--adapter", options->adapter, "PEFT adapter folder")->required();
  command->add_option("--output", options->output, "folder to make")->required();
  command->add_option("--dtype", options->dtype, "of the result: bfloat16 or float32")->capture_default_str();
  command->callback([options] { merge(*options); });
}

}  // namespace lriad

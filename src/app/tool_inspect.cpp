#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/model_files.h"
#include "lriad/model/model_folder.h"
#include "lriad/model/safetensors.h"
#include "tool_commands.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// The safetensors files of a path: the file itself, or those of a model or adapter folder.
std::vector<fs::path> files_of(const fs::path& given) {
  if (!fs::is_directory(given)) return {given};
  const fs::path path = hub_snapshot(given);
  if (fs::exists(path / "adapter_config.json")) return {path / "adapter_model.safetensors"};
  std::vector<fs::path> files;
  for (const std::string& name : weight_files(path)) files.push_back(path / name);
  return files;
}

void inspect(const std::string& path) {
  ordered_json tensors = ordered_json::array();
  ordered_json metadata = ordered_json::object();
  for (const fs::path& file_path : files_of(path)) {
    const SafetensorsFile file(file_path);
    for (const auto& [key, value] : file.metadata()) metadata[key] = value;
    for (const TensorEntry& entry : file.entries()) {
      tensors.push_back({{"name", entry.name},
                         {"dtype", entry.dtype},
                         {"shape", entry.shape},
                         {"file", file_path.filename().string()},
                         {"sha256", sha256_hex(file.bytes(entry))}});
    }
  }
  const ordered_json report = {{"path", path}, {"metadata", metadata}, {"tensors", tensors}};
  std::cout << report.dump(1, ' ', false, ordered_json::error_handler_t::replace) << "\n";
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("inspect", "Lists the tensors of a safetensors file, model or adapter folder as JSON");
  command->add_option("path", *path, "file or folder")->required();
  command->callback([path] { inspect(*path); });
}

}  // namespace lriad

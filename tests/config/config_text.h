#pragma once

#include <fstream>
#include <string>

#include "lriad/config/load_config.h"
#include "lriad/core/error.h"
#include "support/temp_folder.h"

namespace lriad {

/// Config files in a temporary folder, and what load_config() makes of them.
class ConfigFiles {
 public:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string folder() const { return folder_.path().string() + "/"; }

  /// The message of load_config() for one file with this text, the folder taken off; empty if it was loaded.
  std::string problems(const std::string& text, const std::vector<std::string>& sets = {}) const {
    ConfigInput input;
    input.files = {write("a.yaml", text)};
    input.sets = sets;
    return problems(input);
  }
  std::string problems(const ConfigInput& input) const {
    try {
      load_config(input);
      return "";
    } catch (const Error& error) {
      std::string text = error.what();
      for (std::size_t at = 0; (at = text.find(folder())) != std::string::npos;) text.erase(at, folder().size());
      return text;
    }
  }

 private:
  TempFolder folder_;
};

/// The three keys that training needs.
inline const std::string kNeeded = "output_dir: runs/a\nmodel: {path: m}\ndata: {root: d}\n";

inline LoadedConfig load_sets(const std::vector<std::string>& sets, ConfigUse use = ConfigUse::kEval) {
  ConfigInput input;
  input.sets = sets;
  input.use = use;
  return load_config(input);
}

}  // namespace lriad

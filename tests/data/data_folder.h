#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lriad/core/files.h"
#include "lriad/data/dataset.h"
#include "lriad/vision/write_png.h"
#include "support/temp_folder.h"

namespace lriad {

/// A data set made up in a temporary folder.
class DataFolder {
 public:
  std::filesystem::path path() const { return folder_.path() / "set"; }

  /// Writes a file with this content; folders are made.
  void file(const std::string& relative, const std::string& content = "") const {
    std::filesystem::create_directories((path() / relative).parent_path());
    write_file_atomic("test", path() / relative, content);
  }
  void files(const std::vector<std::string>& relatives) const {
    for (const std::string& relative : relatives) file(relative);
  }
  void image(const std::string& relative, int64_t height, int64_t width) const {
    file(relative, encode_png({height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3), 90)}));
  }

  DataSection section(const std::string& format) const {
    DataSection section;
    section.format = format;
    section.root = path().string();
    return section;
  }

 private:
  TempFolder folder_;
};

inline std::vector<std::string> images_of(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const Sample& sample : dataset.samples) names.push_back(sample.image);
  return names;
}

}  // namespace lriad

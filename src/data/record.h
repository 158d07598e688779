#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/core/error.h"

namespace lriad {

/// One JSON object of a file, with its place there for messages.
class Record {
 public:
  /// `place`: such as "line 3". Throws Error naming file and place if `value` is no object.
  Record(const std::filesystem::path& file, std::string place, nlohmann::json value);

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail("data", file_.string(), " ", place_, ": ", parts...);
  }

  /// The text at a key; "" if it is absent or null. Throws Error for other values.
  std::string text(const char* key) const;
  /// Throws Error, with what is `needed` in all, if there is none.
  std::string needed_text(const char* key, const char* needed) const;
  /// A path as it counts, without `.` and doubled slashes. Throws Error for a zero byte and, unless links are followed,
  /// for a path that leaves `folder`.
  std::string path(const std::string& written, const std::filesystem::path& folder, bool follow_links) const;

  const nlohmann::json& value() const { return value_; }

 private:
  std::filesystem::path file_;
  std::string place_;
  nlohmann::json value_;
};

/// A value in one line for a message.
std::string shown(const nlohmann::json& value);

/// The objects of a file: lines that are not blank, or the items of one JSON array. Throws Error naming file and line
/// or item where one is not valid.
std::vector<Record> read_records(const std::filesystem::path& file);

/// The object that a usual path tells: the folder above a split, above `image` (MMAD) or `Data` (VisA), else the one
/// above the folder of the type. "" if there is none.
std::string object_of_path(const std::filesystem::path& path);

/// The folder that `image` is relative to: that of the file, or one beside the file that holds it. Throws Error naming
/// both if it is in neither.
std::filesystem::path base_of_images(const std::filesystem::path& file, const std::string& image);

}  // namespace lriad

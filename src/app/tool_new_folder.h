#pragma once

#include <filesystem>
#include <string>

namespace lriad {

/// An output folder that appears only when it is complete: it is filled as `.<name>.making` in the same parent folder,
/// and finish() renames it. Without finish() the destructor removes it.
class NewFolder {
 public:
  /// Throws Error if `output` exists and is not an empty folder.
  explicit NewFolder(const std::string& output);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::filesystem::path& making() const { return making_; }
  const std::filesystem::path& target() const { return target_; }
  void finish();

 private:
  std::filesystem::path target_, making_;
};

/// The absolute form of an --output option, without a slash at its end.
std::filesystem::path output_path(const std::string& output);

}  // namespace lriad

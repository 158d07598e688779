#pragma once

#include <filesystem>
#include <string>

namespace lriad {

/// A folder that appears all at once: it is filled as `.<name>.making` beside its place and renamed at the end, so that
/// half a result is never mistaken for one. Without finish() it leaves nothing.
class NewFolder {
 public:
  /// Throws Error if something other than an empty folder stands at `output`.
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

#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lriad {

/// True for names that end in png, jpg, jpeg, bmp, tif or tiff in any case.
bool is_image_name(const std::string& name);

/// A folder below a root whose entries are listed by name, sorted by bytes, hidden ones left out. Throws Error naming
/// the folder if it cannot be read, and naming the entry if it is a link that leaves the root or its name is not UTF-8.
class Folder {
 public:
  /// `relative`: path below the root, "" for the root itself.
  explicit Folder(const std::filesystem::path& root, std::string relative = "");

  const std::vector<std::string>& folders() const { return folders_; }  ///< names, `ground_truth` left out
  const std::vector<std::string>& images() const { return images_; }    ///< names of what is no folder
  const std::string& relative() const { return relative_; }
  std::filesystem::path path() const { return root_ / relative_; }
  std::string name() const { return std::filesystem::path(relative_).filename().string(); }

  bool has_folder(const std::string& name) const;
  Folder folder(const std::string& name) const { return Folder(root_, relative_of(name)); }
  std::string relative_of(const std::string& name) const { return relative_.empty() ? name : relative_ + "/" + name; }

 private:
  void take(const std::filesystem::directory_entry& entry);

  std::filesystem::path root_;
  std::string relative_;
  std::vector<std::string> folders_, images_;
};

/// The folder's path, absolute and free of links. Throws Error if it is missing, no folder or cannot be read.
std::filesystem::path real_folder(const std::string& path);

}  // namespace lriad

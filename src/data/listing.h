#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lriad {

/// True for names that end in png, jpg, jpeg, bmp, tif, tiff, webp or gif in any case.
bool is_image_name(const std::string& name);

/// True for the usual names of folders of normal images: good, ok, normal, defect_free and the like, in any case.
bool is_normal_name(const std::string& name);

/// True for names of splits, in any case: train, test, validation and the like. No object or defect is called so.
bool is_split_name(const std::string& name);

/// A folder below a root whose entries are listed by name, sorted by bytes, hidden ones left out. Throws Error naming
/// the folder if it cannot be read, and naming the entry if its name is not UTF-8, if it is a link back to itself or to
/// a folder that holds it, or, unless links are followed, a link that leaves the root.
class Folder {
 public:
  /// `relative`: path below the root, "" for the root itself.
  explicit Folder(const std::filesystem::path& root, bool follow_links, std::string relative = "");

  const std::vector<std::string>& folders() const { return folders_; }  ///< names, `ground_truth` left out
  const std::vector<std::string>& images() const { return images_; }    ///< names of what is no folder
  const std::string& relative() const { return relative_; }
  std::filesystem::path path() const { return root_ / relative_; }
  std::string name() const { return std::filesystem::path(relative_).filename().string(); }

  bool has_folder(const std::string& name) const;
  Folder folder(const std::string& name) const { return Folder(root_, follow_links_, relative_of(name)); }
  std::string relative_of(const std::string& name) const { return relative_.empty() ? name : relative_ + "/" + name; }

  /// True if an image lies in the folder or in `depth` levels of folders below it.
  bool holds_images(int depth) const;

 private:
  void take(const std::filesystem::directory_entry& entry);
  void check_link(const std::filesystem::directory_entry& entry, bool is_folder) const;

  std::filesystem::path root_;
  bool follow_links_;
  std::string relative_;
  std::vector<std::string> folders_, images_;
};

/// The folder's path, absolute and free of links. Throws Error if it is missing, no folder or cannot be read.
std::filesystem::path real_folder(const std::string& path);

/// The same of a file.
std::filesystem::path real_file(const std::string& path);

}  // namespace lriad

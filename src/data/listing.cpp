#include "listing.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 8> kImageExtensions = {".png", ".jpg",  ".jpeg", ".bmp",
                                                              ".tif", ".tiff", ".webp", ".gif"};
constexpr std::array<std::string_view, 12> kNormalNames = {"good",          "ok",           "okay",         "normal",
                                                           "normals",       "defect_free",  "defectfree",   "no_defect",
                                                           "non_defective", "nondefective", "anomaly_free", "flawless"};
constexpr std::array<std::string_view, 11> kSplitNames = {
    "train",        "training",           "test", "testing", "val", "valid", "validation", "test_public",
    "test_private", "test_private_mixed", "eval"};

/// Lower case, with `_` for blanks and hyphens.
std::string plain(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == ' ' || c == '-') c = '_';
  }
  return text;
}

template <class Names>
bool contains(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

bool is_image_name(const std::string& name) {
  return contains(kImageExtensions, plain(fs::path(name).extension().string()));
}

bool is_normal_name(const std::string& name) { return contains(kNormalNames, plain(name)); }

bool is_split_name(const std::string& name) { return contains(kSplitNames, plain(name)); }

Folder::Folder(const fs::path& root, bool follow_links, std::string relative)
    : root_(root), follow_links_(follow_links), relative_(std::move(relative)) {
  std::error_code error;
  fs::directory_iterator entry(path(), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) take(*entry);
  if (error) fail("data", "cannot read the folder ", path().string(), ": ", error.message());
  std::sort(folders_.begin(), folders_.end());
  std::sort(images_.begin(), images_.end());
}

void Folder::take(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  if (name.starts_with('.')) return;
  std::error_code error;
  const bool is_folder = entry.is_directory(error);
  if (error == std::errc::too_many_symbolic_link_levels) {
    fail("data", entry.path().string(), " is a link that leads back to itself; remove it");
  }
  if (is_folder ? name == "ground_truth" : !is_image_name(name)) return;
  if (!is_utf8(name)) fail("data", entry.path().string(), ": the name is not UTF-8; rename it");
  if (entry.is_symlink(error)) check_link(entry, is_folder);
  (is_folder ? folders_ : images_).push_back(name);
}

void Folder::check_link(const fs::directory_entry& entry, bool is_folder) const {
  if (!follow_links_ && !stays_inside(root_, relative_of(entry.path().filename().string()))) {
    fail("data", entry.path().string(), " is a link that leaves ", root_.string(),
         "; set data.follow_links: true to read it");
  }
  if (!is_folder) return;
  std::error_code error;
  const fs::path target = fs::canonical(entry.path(), error);
  if (!error && lies_in(path(), target)) {
    fail("data", entry.path().string(), " is a link back to ", target.string(), ", which holds it; remove it");
  }
}

bool Folder::has_folder(const std::string& name) const {
  return std::binary_search(folders_.begin(), folders_.end(), name);
}

bool Folder::holds_images(int depth) const {
  if (!images_.empty()) return true;
  return depth > 0 &&
         std::ranges::any_of(folders_, [&](const std::string& name) { return folder(name).holds_images(depth - 1); });
}

fs::path real_folder(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) fail("data", "cannot open the data folder ", path, ": ", error.message());
  if (!fs::is_directory(real, error)) fail("data", path, " is a file, expected a folder of images");
  return real;
}

fs::path real_file(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) fail("data", "cannot open the data file ", path, ": ", error.message());
  if (fs::is_directory(real, error)) fail("data", path, " is a folder, expected a file");
  return real;
}

}  // namespace lriad

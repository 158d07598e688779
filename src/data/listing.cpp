#include "listing.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

bool is_image_name(const std::string& name) {
  const std::string extension = lower(fs::path(name).extension().string());
  constexpr const char* kKnown[] = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"};
  return std::find(std::begin(kKnown), std::end(kKnown), extension) != std::end(kKnown);
}

Folder::Folder(const fs::path& root, std::string relative) : root_(root), relative_(std::move(relative)) {
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
  if (is_folder ? name == "ground_truth" : !is_image_name(name)) return;
  if (!is_utf8(name)) fail("data", entry.path().string(), ": the name is not UTF-8; rename it");
  if (entry.is_symlink(error) && !stays_inside(root_, relative_of(name))) {
    fail("data", entry.path().string(), " is a link that leaves ", root_.string(),
         "; put the images below the data root");
  }
  (is_folder ? folders_ : images_).push_back(name);
}

bool Folder::has_folder(const std::string& name) const {
  return std::binary_search(folders_.begin(), folders_.end(), name);
}

fs::path real_folder(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) fail("data", "cannot open the data folder ", path, ": ", error.message());
  if (!fs::is_directory(real, error))
    fail("data", path, " is a file, expected a folder of images (a file is read by format jsonl only)");
  return real;
}

}  // namespace lriad

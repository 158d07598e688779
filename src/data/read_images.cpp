#include <algorithm>
#include <set>
#include <system_error>

#include "listing.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/data/dataset.h"
#include "lriad/data/folder_watch.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

/// Appends the images below `folder`. `above`: where the walk stands, free of links, to notice a link that turns
/// back.
void walk(const Folder& folder, std::vector<fs::path>& above, std::set<std::string>& found) {
  std::error_code error;
  const fs::path real = fs::canonical(folder.path(), error);
  if (error) fail("data", "cannot read the folder ", folder.path().string(), ": ", error.message());
  if (std::find(above.begin(), above.end(), real) != above.end()) {
    fail("data", folder.path().string(), " is a link back to ", real.string(), ", which holds it");
  }
  above.push_back(real);
  for (const std::string& name : folder.images()) found.insert((folder.path() / name).string());
  const bool holds_evaluation = fs::exists(folder.path() / "predictions.jsonl", error);
  for (const std::string& name : folder.folders()) {
    if (!holds_evaluation || name != "report") walk(folder.folder(name), above, found);
  }
  above.pop_back();
}

void take_folder(const std::string& path, bool follow_links, std::set<std::string>& found) {
  std::vector<fs::path> above;
  walk(Folder(real_folder(path), follow_links), above, found);
}

void take_path(const std::string& path, bool follow_links, std::set<std::string>& found) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail("data", "cannot open ", path, ": ", error ? error.message() : "it does not exist");
  if (!is_utf8(path)) fail("data", path, ": the path is not UTF-8; rename it");
  if (!fs::is_directory(status)) {
    found.insert(fs::absolute(path).lexically_normal().string());
    return;
  }
  const size_t before = found.size();
  take_folder(path, follow_links, found);
  if (found.size() == before) fail("data", path, " has no images (png, jpg, jpeg, bmp, tif, tiff, webp, gif)");
}

}  // namespace

std::vector<std::string> images_below(const std::string& folder, bool follow_links) {
  std::set<std::string> found;
  take_folder(folder, follow_links, found);
  return {found.begin(), found.end()};
}

Dataset read_images(const std::vector<std::string>& paths, const std::string& object_name, bool follow_links) {
  if (paths.empty()) fail("data", "no images are given");
  std::set<std::string> found;
  for (const std::string& path : paths) take_path(path, follow_links, found);
  std::string spaced = object_name;
  std::replace(spaced.begin(), spaced.end(), '_', ' ');
  Dataset dataset;
  dataset.root = "/";
  for (const std::string& path : found) {
    Sample& sample = dataset.samples.emplace_back();
    sample.id = sample.image = path;
    sample.path = path;
    sample.object = object_name;
    sample.object_name = spaced;
  }
  return dataset;
}

}  // namespace lriad

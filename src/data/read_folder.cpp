#include "listing.h"
#include "lriad/core/error.h"
#include "readers.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

bool is_normal_class(std::string name) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name == "good" || name == "ok" || name == "normal";
}

bool has_normal_class(const Folder& folder) {
  for (const std::string& name : folder.folders()) {
    if (is_normal_class(name)) return true;
  }
  return false;
}

void take_object(const Folder& folder, const std::string& object, std::vector<Sample>& samples) {
  for (const std::string& name : folder.folders()) {
    const bool normal = is_normal_class(name);
    const Folder images = folder.folder(name);
    for (const std::string& image : images.images()) {
      Sample sample;
      sample.image = images.relative_of(image);
      sample.object = object;
      sample.defect_type = normal ? "" : name;
      sample.label = normal ? Verdict::kNormal : Verdict::kDefect;
      samples.push_back(std::move(sample));
    }
  }
}

}  // namespace

std::vector<Sample> read_folder(const fs::path& root, const DataSection& section) {
  if (section.split != "all")
    fail("data", "data.split is ", section.split, ", expected all: format folder has no splits");
  const Folder top(root);
  std::vector<Sample> samples;
  if (has_normal_class(top)) {
    const std::string object = root.filename().string();
    wanted_objects(section, {object});
    take_object(top, object, samples);
  } else {
    const std::set<std::string> known(top.folders().begin(), top.folders().end());
    for (const std::string& object : wanted_objects(section, known)) take_object(top.folder(object), object, samples);
  }
  if (!samples.empty()) return samples;
  fail("data", root.string(),
       " has no images at <object>/<class>/ nor at <class>/, expected a class good, ok or normal ",
       "and one folder per defect type");
}

}  // namespace lriad

#include <algorithm>

#include "lriad/core/error.h"
#include "readers.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

bool has_normal_class(const Folder& folder) { return std::ranges::any_of(folder.folders(), is_normal_name); }

void refuse_splits(const Folder& folder, const char* expected) {
  for (const std::string& name : folder.folders()) {
    if (!is_split_name(name) || !folder.folder(name).holds_images(2)) continue;
    fail("data", (folder.path() / name).string(), " is named like a split, expected ", expected,
         "; a layout with splits has another data.format, such as mvtec");
  }
}

void take_object(const Folder& folder, const std::string& object, std::vector<Sample>& samples) {
  refuse_splits(folder, "a class: good, ok or normal, or a defect");
  for (const std::string& name : folder.folders()) {
    const Folder images = folder.folder(name);
    take_images(images, object, is_normal_name(name) ? Verdict::kNormal : Verdict::kDefect, name,
                folder.path() / "ground_truth" / name, samples);
  }
}

/// The name of the one object whose classes lie at the root: the root's own, unless that says nothing about an object.
std::string single_object(const fs::path& root, const DataSection& section) {
  const std::string name = root.filename().string();
  const bool says_nothing =
      name.empty() || is_split_name(name) || name == "data" || name == "dataset" || name == "images" || name == "all";
  if (!says_nothing) {
    wanted_objects(section, {name});
    return name;
  }
  if (section.objects && section.objects->size() == 1)
    return *wanted_objects(section, {section.objects->front()}).begin();
  fail("data", root.string(), " has the classes of one object, whose name the folder does not tell; ",
       "give it as data.objects: [NAME], or rename the folder");
}

}  // namespace

Listing read_folder(const DataSection& section) {
  check_split(section, {"all"});
  Listing found;
  found.root = real_folder(section.root);
  const Folder top(found.root, section.follow_links);
  if (has_normal_class(top)) {
    take_object(top, single_object(found.root, section), found.samples);
  } else {
    refuse_splits(top, "an object");
    const std::set<std::string> known(top.folders().begin(), top.folders().end());
    for (const std::string& object : wanted_objects(section, known)) {
      take_object(top.folder(object), object, found.samples);
    }
  }
  if (!found.samples.empty()) return found;
  fail("data", found.root.string(),
       " has no images at <object>/<class>/ nor at <class>/, expected a class good, ok or normal ",
       "and one folder per defect type");
}

}  // namespace lriad

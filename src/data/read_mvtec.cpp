#include <map>

#include "listing.h"
#include "lriad/core/error.h"
#include "readers.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kSplits = {"test", "train", "validation"};

std::vector<std::string> split_folders(const DataSection& section) {
  if (section.split == "all") return {"test", "train"};
  if (kSplits.contains(section.split)) return {section.split};
  fail("data", "data.split is ", section.split, ", expected all, ", listed(kSplits), " for format mvtec");
}

bool has_split(const Folder& folder) {
  for (const std::string& split : kSplits) {
    if (folder.has_folder(split)) return true;
  }
  return false;
}

void take_type(const Folder& folder, const std::string& object, std::vector<Sample>& samples) {
  const std::string type = folder.name();
  const bool normal = type == "good" || type == "ok";
  for (const std::string& name : folder.images()) {
    Sample sample;
    sample.image = folder.relative_of(name);
    sample.object = object;
    sample.defect_type = normal ? "" : type;
    sample.label = normal ? Verdict::kNormal : Verdict::kDefect;
    samples.push_back(std::move(sample));
  }
}

/// The objects' folders. A root that is one object's folder is a common slip.
std::map<std::string, Folder> objects_in(const fs::path& root) {
  const Folder top(root);
  std::map<std::string, Folder> objects;
  for (const std::string& name : top.folders()) {
    const Folder folder = top.folder(name);
    if (has_split(folder)) objects.emplace(name, folder);
  }
  if (!objects.empty()) return objects;
  const char* hint = has_split(top) ? "; it is the folder of one object: give the folder above it" : "";
  fail("data", root.string(), " has no folders <object>/train or <object>/test, expected the layout of MVTec-AD", hint);
}

}  // namespace

std::vector<Sample> read_mvtec(const fs::path& root, const DataSection& section) {
  const std::vector<std::string> splits = split_folders(section);
  const std::map<std::string, Folder> objects = objects_in(root);
  std::set<std::string> known;
  for (const auto& [name, folder] : objects) known.insert(name);
  std::vector<Sample> samples;
  for (const std::string& object : wanted_objects(section, known)) {
    for (const std::string& split : splits) {
      if (!objects.at(object).has_folder(split)) continue;
      const Folder folder = objects.at(object).folder(split);
      for (const std::string& type : folder.folders()) take_type(folder.folder(type), object, samples);
    }
  }
  return samples;
}

}  // namespace lriad

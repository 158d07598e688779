#include <algorithm>
#include <map>

#include "lriad/core/error.h"
#include "lriad/data/mask.h"
#include "readers.h"

// Sets whose masks alone tell what is a defect.
namespace lriad {
namespace {

namespace fs = std::filesystem;

const std::vector<std::pair<std::string, std::string>> kSplits = {{"train", "train"}, {"test", "test"}};

bool holds_defect(const fs::path& path) {
  const Mask mask = read_mask(path);
  return std::find(mask.defect.begin(), mask.defect.end(), true) != mask.defect.end();
}

/// Images of a folder beside their masks <stem><suffix>: a mask that is not black marks a defect.
void take_with_masks(const Folder& folder, const std::string& object, const std::string& suffix,
                     std::vector<Sample>& samples) {
  const auto is_mask = [&](const std::string& name) { return name.ends_with(suffix); };
  for (const std::string& name : folder.images()) {
    if (is_mask(name)) continue;
    const std::string mask = fs::path(name).stem().string() + suffix;
    if (!std::ranges::binary_search(folder.images(), mask)) {
      fail("data", (folder.path() / name).string(), " has no mask ", mask, " beside it, which would tell its label");
    }
    Sample sample;
    sample.image = folder.relative_of(name);
    sample.object = object;
    sample.label = holds_defect(folder.path() / mask) ? Verdict::kDefect : Verdict::kNormal;
    if (sample.label == Verdict::kDefect) {
      sample.defect_type = "defect";
      sample.mask = folder.path() / mask;
    }
    samples.push_back(std::move(sample));
  }
}

/// DAGM: <split>/Label/<stem>_label.PNG is there for defects only.
void take_dagm_split(const Folder& folder, const std::string& object, std::vector<Sample>& samples) {
  if (!folder.has_folder("Label")) {
    fail("data", folder.path().string(), " has no folder Label, whose masks tell which images are defects");
  }
  std::map<std::string, fs::path> marked;
  const Folder masks = folder.folder("Label");
  for (const std::string& mask : masks.images()) {
    const std::string stem = fs::path(mask).stem().string();
    marked.emplace(stem.substr(0, stem.rfind("_label")), masks.path() / mask);
  }
  for (const std::string& name : folder.images()) {
    Sample sample;
    sample.image = folder.relative_of(name);
    sample.object = object;
    const auto mask = marked.extract(fs::path(name).stem().string());
    sample.label = mask ? Verdict::kDefect : Verdict::kNormal;
    if (mask) {
      sample.defect_type = "defect";
      sample.mask = mask.mapped();
    }
    samples.push_back(std::move(sample));
  }
  if (!marked.empty()) {
    std::set<std::string> stems;
    for (const auto& [stem, mask] : marked) stems.insert(stem);
    fail("data", folder.path().string(), " has the masks of ", listed(stems), " in Label, but no such images");
  }
}

bool is_wanted(const DataSection& section, const std::string& split) {
  return section.split == "all" || section.split == split;
}

}  // namespace

Listing read_dagm(const DataSection& section) {
  check_split(section, {"all", "train", "test"});
  Listing found;
  found.root = real_folder(section.root);
  const Folder top(found.root, section.follow_links);
  std::set<std::string> known;
  for (const std::string& name : top.folders()) {
    const Folder object = top.folder(name);
    if (object.has_folder("Train") || object.has_folder("Test")) known.insert(name);
  }
  if (known.empty()) {
    fail("data", found.root.string(), " has no folders <class>/Train or <class>/Test, expected the layout of DAGM");
  }
  for (const std::string& name : wanted_objects(section, known)) {
    const Folder object = top.folder(name);
    for (const auto& [split, folder] : {std::pair{"train", "Train"}, std::pair{"test", "Test"}}) {
      if (is_wanted(section, split) && object.has_folder(folder)) {
        take_dagm_split(object.folder(folder), name, found.samples);
      }
    }
  }
  return found;
}

Listing read_kolektor_sdd2(const DataSection& section) {
  check_split(section, {"all", "train", "test"});
  Listing found;
  found.root = real_folder(section.root);
  const Folder top(found.root, section.follow_links);
  const std::string object = "kolektor_sdd2";
  wanted_objects(section, {object});
  if (!top.has_folder("train") && !top.has_folder("test")) {
    fail("data", found.root.string(), " has no folders train or test, expected the layout of KolektorSDD2");
  }
  for (const char* split : {"train", "test"}) {
    if (is_wanted(section, split) && top.has_folder(split)) {
      take_with_masks(top.folder(split), object, "_GT.png", found.samples);
    }
  }
  return found;
}

Listing read_kolektor_sdd(const DataSection& section) {
  check_split(section, {"all"});
  Listing found;
  found.root = real_folder(section.root);
  const Folder top(found.root, section.follow_links);
  const std::string object = "kolektor_sdd";
  wanted_objects(section, {object});
  for (const std::string& part : top.folders()) {
    take_with_masks(top.folder(part), object, "_label.bmp", found.samples);
  }
  return found;
}

}  // namespace lriad

#include "read_tree.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using Split = TreeLayout::Split;

bool is_object(const Folder& folder, const TreeLayout& layout) {
  return std::ranges::any_of(layout.splits, [&](const Split& split) { return folder.has_folder(split.folder); });
}

/// Reads the wanted splits of objects into a listing.
class TreeReader {
 public:
  TreeReader(const DataSection& section, const TreeLayout& layout) : section_(section), layout_(layout) {
    found_.root = real_folder(section.root);
  }

  Listing read() {
    const std::vector<Split> splits = wanted_splits();
    const std::map<std::string, Folder> objects = find_objects();
    std::set<std::string> known;
    for (const auto& [name, folder] : objects) known.insert(name);
    for (const std::string& name : wanted_objects(section_, known)) {
      const Folder& object = objects.at(name);
      for (const Split& split : splits) {
        if (object.has_folder(split.folder)) take_split(object.folder(split.folder), name, split);
      }
      note_left_out(object);
    }
    return std::move(found_);
  }

 private:
  std::vector<Split> wanted_splits() const {
    std::vector<Split> wanted;
    std::set<std::string> names = {"all"};
    for (const Split& split : layout_.splits) {
      names.insert(split.name);
      if (section_.split == split.name || (section_.split == "all" && split.in_all)) wanted.push_back(split);
    }
    check_split(section_, names);
    return wanted;
  }

  std::map<std::string, Folder> find_objects() {
    const Folder top(found_.root, section_.follow_links);
    std::map<std::string, Folder> objects;
    for (const std::string& name : top.folders()) {
      const Folder folder = top.folder(name);
      if (is_object(folder, layout_)) {
        objects.emplace(name, folder);
      } else if (folder.holds_images(2)) {
        found_.left_out.push_back(name);
      }
    }
    if (!objects.empty()) return objects;
    const char* hint = is_object(top, layout_) ? "; it is the folder of one object: give the folder above it"
                                               : "; another layout has another data.format";
    fail("data", found_.root.string(), " has no folders ", expected_folders(), ", expected the layout of format ",
         layout_.format, hint);
  }

  std::string expected_folders() const {
    std::string text;
    for (const Split& split : layout_.splits) text += (text.empty() ? "<object>/" : " or <object>/") + split.folder;
    return text;
  }

  void take_split(const Folder& folder, const std::string& object, const Split& split) {
    if (!split.labelled) {
      take_images(folder, object, std::nullopt, "", {}, found_.samples);
      return;
    }
    if (!folder.images().empty()) {
      fail("data", folder.path().string(), " has images itself, such as ", folder.images()[0],
           ", expected them in a folder per type, such as good");
    }
    if (split.folder == "train") check_train(folder);
    for (const std::string& type : folder.folders()) take_type(folder.folder(type), object);
  }

  void take_type(const Folder& folder, const std::string& object) {
    const std::string type = folder.name();
    if (is_split_name(type)) {
      fail("data", folder.path().string(), " is named like a split, expected a type: good or the name of a defect");
    }
    if (folder.images().empty() && folder.holds_images(1)) {
      fail("data", folder.path().string(), " has its images in folders below it, expected them in itself");
    }
    const bool normal = is_normal_name(type);
    take_images(folder, object, normal ? Verdict::kNormal : Verdict::kDefect, type, masks_of(folder), found_.samples);
  }

  /// ground_truth/<type> of the object; of the split's folder where that is not `test` (mvtec_ad2).
  static std::filesystem::path masks_of(const Folder& type) {
    const std::filesystem::path split = type.path().parent_path();
    return (split.filename() == "test" ? split.parent_path() : split) / "ground_truth" / type.name();
  }

  /// Training images are normal in every public set of this layout, so a train/ without any means a name that is not
  /// known.
  static void check_train(const Folder& folder) {
    std::set<std::string> types;
    for (const std::string& type : folder.folders()) {
      if (folder.folder(type).holds_images(1)) types.insert(type);
    }
    if (types.empty() || std::ranges::any_of(types, is_normal_name)) return;
    fail(
        "data", folder.path().string(), " has images of ", listed(types),
        " only, expected a folder of normal images named good, ok, normal or the like; rename the one that holds them");
  }

  /// Folders of an object that no split reads; images that look like a labelled test set must not go unnoticed.
  void note_left_out(const Folder& object) {
    for (const std::string& name : object.folders()) {
      const auto split = std::ranges::find(layout_.splits, name, &Split::folder);
      const bool read = split != layout_.splits.end() && (split->in_all || section_.split != "all");
      if (read || !object.folder(name).holds_images(2)) continue;
      if (section_.split == "all" && split == layout_.splits.end() && name.starts_with("test")) {
        fail("data", object.folder(name).path().string(), " has images that format ", layout_.format,
             " does not read; give the data.format of this layout, or name a split");
      }
      found_.left_out.push_back(object.relative_of(name));
    }
  }

  const DataSection& section_;
  const TreeLayout& layout_;
  Listing found_;
};

}  // namespace

bool has_tree(const Folder& top, const TreeLayout& layout) {
  return std::ranges::any_of(top.folders(),
                             [&](const std::string& name) { return is_object(top.folder(name), layout); });
}

Listing read_tree(const DataSection& section, const TreeLayout& layout) { return TreeReader(section, layout).read(); }

}  // namespace lriad

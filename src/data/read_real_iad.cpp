#include <map>
#include <string_view>

#include "core/json.h"
#include "lriad/core/files.h"
#include "readers.h"
#include "record.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kImages = "realiad_", kLists = "realiad_jsons";
constexpr const char* kNeeded = "image_path and anomaly_class";

/// data.split: all, train or test, with the name of a variant of the lists before a slash: sv/test, fuiad_0.4/train.
struct Wanted {
  std::string lists, part;
};

Wanted wanted_of(const DataSection& section) {
  const size_t slash = section.split.find('/');
  Wanted wanted{std::string(kLists), section.split.substr(slash + 1)};
  if (slash != std::string::npos) wanted.lists += "_" + section.split.substr(0, slash);
  if (wanted.part == "all" || wanted.part == "train" || wanted.part == "test") return wanted;
  fail("data", "data.split is ", section.split, ", expected all, train, test or <variant>/test such as sv/test",
       " for format real_iad");
}

/// The folder of the images: the root itself, or the only one below it.
fs::path image_folder(const fs::path& root, const Folder& top) {
  if (root.filename().string().starts_with(kImages)) return root;
  std::set<std::string> names;
  for (const std::string& name : top.folders()) {
    if (name.starts_with(kImages) && !name.starts_with(kLists)) names.insert(name);
  }
  if (names.size() == 1) return root / *names.begin();
  if (names.empty()) fail("data", root.string(), " has no folder realiad_<size>, expected the layout of Real-IAD");
  fail("data", root.string(), " has images of several sizes, ", listed(names), "; give one of them as data.root");
}

/// <object> -> its list. The lists stand beside the folder of the images, in a folder of their own name or one deeper.
std::map<std::string, fs::path> lists_of(const fs::path& top, const std::string& name) {
  std::map<std::string, fs::path> lists;
  for (const fs::path& folder : {top / kLists / name, top / name}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".json") lists.emplace(entry.path().stem().string(), entry.path());
    }
    if (!lists.empty()) return lists;
  }
  fail("data", (top / name).string(), " has no lists <object>.json, expected those of Real-IAD");
}

Sample read_sample(const Record& record, const std::string& object, const std::string& normal_class) {
  Sample sample;
  const fs::path image = fs::path(record.needed_text("image_path", kNeeded)).lexically_normal();
  if (image.is_absolute() || *image.begin() == "..") {
    record.refuse("image_path ", shown(image.string()), " leaves the folder of the object, from which paths count");
  }
  sample.image = object + "/" + image.generic_string();
  sample.object = object;
  const std::string type = record.needed_text("anomaly_class", kNeeded);
  sample.label = type == normal_class ? Verdict::kNormal : Verdict::kDefect;
  if (sample.label == Verdict::kDefect) sample.defect_type = type;
  return sample;
}

void take_list(const fs::path& file, const std::string& object, const std::string& wanted,
               std::vector<Sample>& samples) {
  constexpr uint64_t kMaxFile = 1ull << 28;
  const json list = read_json_object("data", file, kMaxFile);
  const json meta = list.value("meta", json::object());
  const std::string normal_class = meta.is_object() ? meta.value("normal_class", "OK") : "OK";
  for (const char* part : {"train", "test"}) {
    if (wanted != "all" && wanted != part) continue;
    int64_t number = 0;
    for (const json& value : list.value(part, json::array())) {
      samples.push_back(read_sample({file, concat(part, " record ", ++number), value}, object, normal_class));
    }
  }
}

}  // namespace

Listing read_real_iad(const DataSection& section) {
  const Wanted wanted = wanted_of(section);
  const fs::path root = real_folder(section.root);
  Listing found;
  found.root = image_folder(root, Folder(root, section.follow_links));
  const auto lists = lists_of(found.root.parent_path(), wanted.lists);
  std::set<std::string> known;
  for (const auto& [object, file] : lists) known.insert(object);
  for (const std::string& object : wanted_objects(section, known)) {
    take_list(lists.at(object), object, wanted.part, found.samples);
  }
  return found;
}

}  // namespace lriad

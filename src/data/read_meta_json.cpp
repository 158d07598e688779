#include "core/json.h"
#include "lriad/core/files.h"
#include "readers.h"
#include "record.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The keys of one of the two forms.
struct Keys {
  const char *image, *object, *type, *label, *mask, *needed;
};
constexpr Keys kMeta = {"img_path", "cls_name",  "specie_name",
                        "anomaly",  "mask_path", "img_path, cls_name and anomaly"};
constexpr Keys kUniAd = {"filename", "clsname", "label_name", "label", "maskname", "filename, clsname and label"};

Sample read_sample(const Record& record, const Keys& keys) {
  Sample sample;
  sample.image = record.needed_text(keys.image, keys.needed);
  sample.object = record.needed_text(keys.object, keys.needed);
  const json label = record.value().value(keys.label, json());
  if (label != 0 && label != 1) record.refuse(keys.label, " is ", shown(label), ", expected 0 (normal) or 1 (defect)");
  sample.label = label == 1 ? Verdict::kDefect : Verdict::kNormal;
  const std::string type = record.text(keys.type);
  if (!type.empty() && type != "defective" && is_normal_name(type) != (sample.label == Verdict::kNormal)) {
    record.refuse(keys.label, " is ", shown(label), ", but ", keys.type, " is ", type, "; one of them is wrong");
  }
  if (sample.label == Verdict::kDefect) sample.defect_type = type;
  return sample;
}

/// Records of one split in one of the two forms.
struct Part {
  std::string split;  ///< "": not told
  const Keys& keys;
  std::vector<Record> records;
};

/// The records of {"train": {class: [record]}, "test": ...}.
std::vector<Part> parts_of_meta(const fs::path& file, const json& meta) {
  std::vector<Part> parts;
  for (const auto& [split, classes] : meta.items()) {
    if (!classes.is_object())
      fail("data", file.string(), ": ", split, " is ", classes.type_name(), ", expected an object");
    Part part{split, kMeta, {}};
    for (const auto& [name, list] : classes.items()) {
      int64_t number = 0;
      for (const json& record : list) {
        part.records.emplace_back(file, concat(split, ", ", name, ", record ", ++number), record);
      }
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

struct Source {
  fs::path file;
  std::string split;  ///< that all its records are of; "": the file tells
};

/// meta.json of a folder, or train.json and test.json as UniAD keeps them, or the file itself.
std::vector<Source> sources_of(const std::string& root) {
  std::error_code error;
  if (!fs::is_directory(root, error)) return {{real_file(root), ""}};
  const fs::path folder = real_folder(root);
  if (fs::exists(folder / "meta.json", error)) return {{folder / "meta.json", ""}};
  std::vector<Source> sources;
  for (const char* split : {"train", "test"}) {
    const fs::path file = folder / (std::string(split) + ".json");
    if (fs::exists(file, error)) sources.push_back({file, split});
  }
  if (sources.empty()) fail("data", root, " has neither meta.json nor train.json or test.json; give the file itself");
  return sources;
}

std::vector<Part> parts_of(const Source& source) {
  const json meta = parse_json(read_file("data", source.file));
  if (meta.is_object() && (meta.contains("train") || meta.contains("test"))) return parts_of_meta(source.file, meta);
  return {{source.split, kUniAd, read_records(source.file)}};
}

}  // namespace

Listing read_meta_json(const DataSection& section) {
  Listing found;
  std::set<std::string> known, splits = {"all"};
  for (const Source& source : sources_of(section.root)) {
    for (const Part& part : parts_of(source)) {
      if (!part.split.empty()) splits.insert(part.split);
      for (const Record& record : part.records) {
        Sample sample = read_sample(record, part.keys);
        if (found.root.empty()) found.root = base_of_images(source.file, sample.image);
        sample.image = record.path(sample.image, found.root, section.follow_links);
        const std::string mask = record.text(part.keys.mask);
        if (!mask.empty()) sample.mask = record.path(mask, found.root, section.follow_links);
        known.insert(sample.object);
        if (section.split == "all" || section.split == part.split) found.samples.push_back(std::move(sample));
      }
    }
  }
  check_split(section, splits);
  keep_wanted(section, known, found.samples);
  return found;
}

}  // namespace lriad

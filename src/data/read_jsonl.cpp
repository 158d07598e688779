#include "readers.h"
#include "record.h"

namespace lriad {
namespace {

constexpr const char* kNeeded = "image, object and label";

std::optional<Verdict> label_of(const Record& record) {
  const auto found = record.value().find("label");
  if (found == record.value().end() && !record.value().contains("response")) {
    record.refuse("no label; needed are ", kNeeded);
  }
  if (found == record.value().end() || found->is_null()) return std::nullopt;
  if (*found == "defect" || *found == 1) return Verdict::kDefect;
  if (*found == "normal" || *found == 0) return Verdict::kNormal;
  record.refuse("label is ", shown(*found), ", expected defect, normal, 1, 0 or null");
}

Sample read_sample(const Record& record, const std::filesystem::path& folder, bool follow_links) {
  Sample sample;
  sample.image = record.path(record.needed_text("image", kNeeded), folder, follow_links);
  sample.object = record.needed_text("object", kNeeded);
  sample.label = label_of(record);
  if (sample.label != Verdict::kNormal) {
    sample.defect_type = record.text("defect_type");
    const std::string mask = record.text("mask");
    if (!mask.empty()) sample.mask = record.path(mask, folder, follow_links);
  }
  sample.response = record.text("response");
  return sample;
}

}  // namespace

Listing read_jsonl(const DataSection& section) {
  const std::filesystem::path file = real_file(section.root);
  Listing found;
  found.root = file.parent_path();
  std::set<std::string> known, splits = {"all"};
  for (const Record& record : read_records(file)) {
    Sample sample = read_sample(record, found.root, section.follow_links);
    known.insert(sample.object);
    const std::string split = record.text("split");
    if (!split.empty()) splits.insert(split);
    if (section.split == "all" || section.split == split) found.samples.push_back(std::move(sample));
  }
  check_split(section, splits);
  keep_wanted(section, known, found.samples);
  return found;
}

}  // namespace lriad

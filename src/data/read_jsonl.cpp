#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "readers.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A value in one line for an error message.
std::string shown(const json& value) { return value.dump().substr(0, 200); }

/// One line of the file.
class Row {
 public:
  Row(const fs::path& file, int64_t line, std::string_view text) : file_(file), line_(line) {
    std::string problem;
    root_ = parse_json_object(text, problem);
    if (!root_.is_object()) refuse(problem);
  }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail("data", file_.string(), " line ", line_, ": ", parts...);
  }

  /// The text at a key; "" if it is absent or null.
  std::string text(const char* key) const {
    const auto found = root_.find(key);
    if (found == root_.end() || found->is_null()) return {};
    if (!found->is_string()) refuse(key, " is ", found->type_name(), ", expected text");
    return found->get<std::string>();
  }

  std::string needed_text(const char* key) const {
    std::string value = text(key);
    if (value.empty()) refuse("no ", key, "; needed are image, object and label");
    return value;
  }

  std::optional<Verdict> label() const {
    const auto found = root_.find("label");
    if (found == root_.end() && !root_.contains("response")) refuse("no label; needed are image, object and label");
    if (found == root_.end() || found->is_null()) return std::nullopt;
    if (*found == "defect" || *found == 1) return Verdict::kDefect;
    if (*found == "normal" || *found == 0) return Verdict::kNormal;
    refuse("label is ", shown(*found), ", expected defect, normal, 1, 0 or null");
  }

 private:
  const fs::path& file_;
  int64_t line_;
  json root_;
};

/// The path as it counts: without `.` and doubled slashes.
std::string checked_image(const Row& row, const fs::path& folder, bool follow_links) {
  const std::string image = row.needed_text("image");
  if (image.find('\0') != std::string::npos) row.refuse("image ", shown(image), " holds a zero byte");
  if (follow_links || stays_inside(folder, image)) return fs::path(image).lexically_normal().generic_string();
  row.refuse("image ", shown(image), " leaves the folder of the file, ", folder.string(),
             "; set data.follow_links: true to read it");
}

Sample read_sample(const Row& row, const fs::path& folder, bool follow_links) {
  Sample sample;
  sample.image = checked_image(row, folder, follow_links);
  sample.object = row.needed_text("object");
  sample.label = row.label();
  if (sample.label != Verdict::kNormal) sample.defect_type = row.text("defect_type");
  sample.response = row.text("response");
  return sample;
}

/// Calls `take(line number, text)` for each line that is not blank.
template <class Take>
void for_each_line(std::string_view text, const Take& take) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int64_t line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(row.size() + 1, text.size()));
    if (row.find_first_not_of(" \t\r") != std::string_view::npos) take(line, row);
  }
}

}  // namespace

Listing read_jsonl(const DataSection& section) {
  const fs::path file = real_file(section.root);
  Listing found;
  found.root = file.parent_path();
  std::set<std::string> known, splits = {"all"};
  const std::string bytes = read_file("data", file);
  for_each_line(bytes, [&](int64_t line, std::string_view text) {
    const Row row(file, line, text);
    Sample sample = read_sample(row, found.root, section.follow_links);
    known.insert(sample.object);
    const std::string split = row.text("split");
    if (!split.empty()) splits.insert(split);
    if (section.split == "all" || section.split == split) found.samples.push_back(std::move(sample));
  });
  if (known.empty()) fail("data", file.string(), " has no lines");
  if (!splits.contains(section.split)) {
    fail("data", "data.split is ", section.split, ", but ", file.string(), " has the splits ", listed(splits));
  }
  const std::set<std::string> objects = wanted_objects(section, known);
  std::erase_if(found.samples, [&](const Sample& sample) { return !objects.contains(sample.object); });
  return found;
}

}  // namespace lriad

#include "record.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/json.h"
#include "listing.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Larger than the lists of any public set.
constexpr uint64_t kMaxFile = 1ull << 30;

std::vector<Record> records_of_lines(const fs::path& file, std::string_view text) {
  std::vector<Record> records;
  for (int64_t line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(row.size() + 1, text.size()));
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::string problem;
    json value = parse_json(row, &problem);
    if (value.is_discarded()) fail("data", file.string(), " line ", line, ": ", problem);
    records.emplace_back(file, concat("line ", line), std::move(value));
  }
  return records;
}

std::vector<Record> records_of_array(const fs::path& file, std::string_view text) {
  std::string problem;
  json all = parse_json(text, &problem);
  if (all.is_discarded()) fail("data", file.string(), " ", problem);
  std::vector<Record> records;
  for (json& value : all) records.emplace_back(file, concat("item ", records.size() + 1), std::move(value));
  return records;
}

}  // namespace

Record::Record(const fs::path& file, std::string place, json value)
    : file_(file), place_(std::move(place)), value_(std::move(value)) {
  if (!value_.is_object()) refuse("is not a JSON object, got a JSON ", value_.type_name());
}

std::string Record::text(const char* key) const {
  const auto found = value_.find(key);
  if (found == value_.end() || found->is_null()) return {};
  if (!found->is_string()) refuse(key, " is ", found->type_name(), ", expected text");
  return found->get<std::string>();
}

std::string Record::needed_text(const char* key, const char* needed) const {
  std::string value = text(key);
  if (value.empty()) refuse("no ", key, "; needed are ", needed);
  return value;
}

std::string Record::path(const std::string& written, const fs::path& folder, bool follow_links) const {
  if (written.find('\0') != std::string::npos) refuse("image ", shown(written), " holds a zero byte");
  if (follow_links || stays_inside(folder, written)) return fs::path(written).lexically_normal().generic_string();
  refuse("image ", shown(written), " leaves the folder ", folder.string(), "; set data.follow_links: true to read it");
}

std::string shown(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 200);
}

std::vector<Record> read_records(const fs::path& file) {
  const std::string bytes = read_file("data", file, kMaxFile);
  std::string_view text = bytes;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  std::vector<Record> records = first != std::string_view::npos && text[first] == '[' ? records_of_array(file, text)
                                                                                      : records_of_lines(file, text);
  if (records.empty()) fail("data", file.string(), " has no lines");
  return records;
}

std::string object_of_path(const fs::path& path) {
  const std::vector<std::string> parts(path.begin(), path.end());
  for (size_t i = 1; i + 1 < parts.size(); ++i) {
    if (is_split_name(parts[i]) || parts[i] == "image" || parts[i] == "Data") return parts[i - 1];
  }
  return parts.size() >= 3 ? parts[parts.size() - 3] : "";
}

fs::path base_of_images(const fs::path& file, const std::string& image) {
  std::error_code error;
  const fs::path folder = file.parent_path();
  if (fs::exists(folder / image, error)) return folder;
  const Folder beside(folder, /*follow_links=*/true);
  for (const std::string& name : beside.folders()) {
    if (fs::exists(folder / name / image, error)) return folder / name;
  }
  fail("data", file.string(), ": ", image, " is neither below ", folder.string(),
       " nor below a folder there; put the images beside the file");
}

}  // namespace lriad

#include <algorithm>
#include <map>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/data/csv.h"
#include "lriad/data/mask.h"
#include "read_tree.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImages = "Data/Images";

/// A table with a header and a row of known length per image.
class Table {
 public:
  explicit Table(const fs::path& file) : file_(file), table_(parse_csv(read_file("data", file), file)) {
    if (table_.rows.empty()) fail("data", file_.string(), " is empty");
  }

  std::optional<size_t> column(const std::string& name) const {
    const auto& header = table_.rows[0].fields;
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) return std::nullopt;
    return static_cast<size_t>(found - header.begin());
  }

  size_t needed_column(const std::string& name) const {
    const auto found = column(name);
    if (!found) fail("data", file_.string(), ": no column ", name, " in its header");
    return *found;
  }

  const std::string& field(size_t row, size_t column) const {
    const CsvTable::Row& fields = table_.rows[row];
    if (column >= fields.fields.size()) {
      fail("data", file_.string(), " line ", fields.line, ": ", fields.fields.size(), " fields, expected ",
           table_.rows[0].fields.size());
    }
    return fields.fields[column];
  }

  size_t size() const { return table_.rows.size(); }  ///< row 0 is the header
  template <class... Parts>
  [[noreturn]] void refuse(size_t row, const Parts&... parts) const {
    fail("data", file_.string(), " line ", table_.rows[row].line, ": ", parts...);
  }

 private:
  fs::path file_;
  CsvTable table_;
};

/// Defect types by image, as image_anno.csv of the object gives them; none if it says nothing about images.
std::unordered_map<std::string, std::string> defect_types(const Folder& object) {
  const fs::path file = object.path() / "image_anno.csv";
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  const Table table(file);
  const auto image = table.column("image"), label = table.column("label");
  if (!image || !label) return {};
  std::unordered_map<std::string, std::string> types;
  for (size_t row = 1; row < table.size(); ++row) types.emplace(table.field(row, *image), table.field(row, *label));
  return types;
}

void take_object(const Folder& object, std::vector<Sample>& samples) {
  const auto types = defect_types(object);
  for (const auto& [name, label] : {std::pair{"Normal", Verdict::kNormal}, std::pair{"Anomaly", Verdict::kDefect}}) {
    const Folder images = object.folder("Data").folder("Images");
    if (!images.has_folder(name)) continue;
    const Folder folder = images.folder(name);
    for (const std::string& image : folder.images()) {
      Sample sample;
      sample.image = folder.relative_of(image);
      sample.object = object.name();
      sample.label = label;
      const auto type = types.find(sample.image);
      if (label == Verdict::kDefect) {
        sample.defect_type = type == types.end() ? "anomaly" : type->second;
        sample.mask = find_mask(object.path() / "Data/Masks" / name, fs::path(image).stem().string());
      }
      samples.push_back(std::move(sample));
    }
  }
}

struct Split {
  std::string table = "1cls";
  std::string part;  ///< train or test
};

Split parse_split(const std::string& text) {
  const size_t slash = text.find('/');
  const Split split =
      slash == std::string::npos ? Split{"1cls", text} : Split{text.substr(0, slash), text.substr(slash + 1)};
  const bool plain = std::all_of(split.table.begin(), split.table.end(), [](unsigned char c) {
    return c == '_' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  if (plain && !split.table.empty() && (split.part == "train" || split.part == "test")) return split;
  fail("data", "data.split is ", text,
       ", expected all, train, test or <table>/train, <table>/test with a table of split_csv", " for format visa");
}

Verdict label_of(const Table& table, size_t row, const std::string& text) {
  if (text == "normal") return Verdict::kNormal;
  if (text == "anomaly") return Verdict::kDefect;
  table.refuse(row, "label is ", text, ", expected normal or anomaly");
}

/// The samples that the table puts into the wanted part; the table's word counts, and each of its images must be
/// there.
std::vector<Sample> of_split(const fs::path& root, const Split& split, const std::set<std::string>& objects,
                             std::vector<Sample> all) {
  const Table table(root / "split_csv" / (split.table + ".csv"));
  const size_t object = table.needed_column("object"), part = table.needed_column("split");
  const size_t label = table.needed_column("label"), image = table.needed_column("image");
  std::unordered_map<std::string, Sample*> by_image;
  for (Sample& sample : all) by_image.emplace(sample.image, &sample);
  std::vector<Sample> taken;
  for (size_t row = 1; row < table.size(); ++row) {
    if (table.field(row, part) != split.part || !objects.contains(table.field(row, object))) continue;
    const std::string& name = table.field(row, image);
    const auto found = by_image.find(name);
    if (found == by_image.end()) table.refuse(row, name, " is no image of the data set, or comes twice");
    if (label_of(table, row, table.field(row, label)) != found->second->label) {
      table.refuse(row, name, " is ", table.field(row, label), " by the table, but not by its folder");
    }
    taken.push_back(std::move(*found->second));
    by_image.erase(found);
  }
  return taken;
}

/// The copies that VisA's own script makes (prepare_data.py: 1cls, 2cls_fewshot, 2cls_highshot) hold
/// <object>/{train,test}/{good,bad}.
bool is_pytorch_copy(const DataSection& section, const TreeLayout& layout) {
  const Folder top(real_folder(section.root), section.follow_links);
  if (has_tree(top, layout)) return true;
  for (const std::string& name : top.folders()) {
    if (name.find("cls") == std::string::npos || !has_tree(top.folder(name), layout)) continue;
    fail("data", section.root, " holds copies of VisA by split; give one of them as data.root, such as ",
         (top.path() / name).string());
  }
  return false;
}

bool is_object(const Folder& folder) {
  std::error_code error;
  return folder.has_folder("Data") && fs::is_directory(folder.path() / kImages, error);
}

}  // namespace

Listing read_visa(const DataSection& section) {
  const TreeLayout pytorch{"visa", {{"train", "train"}, {"test", "test"}}};
  if (is_pytorch_copy(section, pytorch)) return read_tree(section, pytorch);
  const std::optional<Split> split = section.split == "all" ? std::nullopt : std::optional(parse_split(section.split));
  Listing found;
  found.root = real_folder(section.root);
  const Folder top(found.root, section.follow_links);
  std::set<std::string> known;
  for (const std::string& name : top.folders()) {
    if (is_object(top.folder(name))) known.insert(name);
  }
  if (known.empty()) {
    fail("data", found.root.string(), " has no folders <object>/", kImages, " nor <object>/train or <object>/test, ",
         "expected the layout of VisA or one of its copies 1cls, 2cls_fewshot and 2cls_highshot");
  }
  const std::set<std::string> objects = wanted_objects(section, known);
  for (const std::string& object : objects) take_object(top.folder(object), found.samples);
  if (split) found.samples = of_split(found.root, *split, objects, std::move(found.samples));
  return found;
}

}  // namespace lriad

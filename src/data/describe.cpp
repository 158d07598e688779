#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

#include "lriad/data/dataset.h"

namespace lriad {
namespace {

struct Counts {
  int64_t normal = 0, defect = 0, unlabelled = 0;
  std::map<std::string, int64_t> types;

  void add(const Sample& sample) {
    if (!sample.label) {
      ++unlabelled;
    } else if (*sample.label == Verdict::kNormal) {
      ++normal;
    } else {
      ++defect;
      if (!sample.defect_type.empty()) ++types[sample.defect_type];
    }
  }

  std::string share() const {
    const int64_t total = normal + defect;
    if (total == 0) return "-";
    std::ostringstream text;
    text << std::fixed << std::setprecision(1) << 100.0 * static_cast<double>(defect) / static_cast<double>(total)
         << "%";
    return text.str();
  }

  std::string type_list() const {
    std::string text;
    for (const auto& [name, count] : types) text += (text.empty() ? "" : ", ") + name + " " + std::to_string(count);
    return text;
  }
};

class TableWriter {
 public:
  TableWriter(size_t width, bool unlabelled) : width_(static_cast<int>(width)), unlabelled_(unlabelled) {}

  void header() { sequence("normal", "defect", "unlabelled", "share", "object", "defect types"); }
  void row(const std::string& name, const Counts& counts, const std::string& types) {
    sequence(std::to_string(counts.normal), std::to_string(counts.defect), std::to_string(counts.unlabelled),
             counts.share(), name, types);
  }
  std::string text() const { return out_.str(); }

 private:
  void sequence(const std::string& normal, const std::string& defect, const std::string& unlabelled,
                const std::string& share, const std::string& name, const std::string& types) {
    out_ << std::left << std::setw(width_) << name << std::right << std::setw(9) << normal << std::setw(9) << defect;
    if (unlabelled_) out_ << std::setw(12) << unlabelled;
    out_ << std::setw(8) << share << (types.empty() ? "" : "  ") << types << '\n';
  }

  int width_;
  bool unlabelled_;
  std::ostringstream out_;
};

}  // namespace

std::string describe(const Dataset& dataset) {
  std::map<std::string, Counts> objects;
  Counts all;
  size_t width = 6;
  for (const Sample& sample : dataset.samples) {
    objects[sample.object].add(sample);
    all.add(sample);
    width = std::max(width, sample.object.size());
  }
  TableWriter table(width, all.unlabelled > 0);
  table.header();
  for (const auto& [name, counts] : objects) table.row(name, counts, counts.type_list());
  if (objects.size() > 1) table.row("all", all, "");
  return table.text();
}

}  // namespace lriad

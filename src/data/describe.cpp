#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

#include "lriad/data/published_counts.h"

namespace lriad {
namespace {

std::string share(const ObjectCounts& counts) {
  const int64_t total = counts.normal + counts.defect;
  if (total == 0) return "-";
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << 100.0 * static_cast<double>(counts.defect) / static_cast<double>(total)
       << "%";
  return text.str();
}

std::string type_list(const ObjectCounts& counts) {
  std::string text;
  for (const auto& [name, count] : counts.defect_types) {
    text += (text.empty() ? "" : ", ") + name + " " + std::to_string(count);
  }
  return text;
}

class TableWriter {
 public:
  TableWriter(size_t width, bool unlabelled) : width_(static_cast<int>(width)), unlabelled_(unlabelled) {}

  void header() { sequence("normal", "defect", "unlabelled", "share", "object", "defect types"); }
  void row(const std::string& name, const ObjectCounts& counts, const std::string& types) {
    sequence(std::to_string(counts.normal), std::to_string(counts.defect), std::to_string(counts.unlabelled),
             share(counts), name, types);
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
  const std::map<std::string, ObjectCounts> objects = count_objects(dataset);
  ObjectCounts all;
  size_t width = 6;
  for (const auto& [name, counts] : objects) {
    all.normal += counts.normal;
    all.defect += counts.defect;
    all.unlabelled += counts.unlabelled;
    width = std::max(width, name.size());
  }
  TableWriter table(width, all.unlabelled > 0);
  table.header();
  for (const auto& [name, counts] : objects) table.row(name, counts, type_list(counts));
  if (objects.size() > 1) table.row("all", all, "");
  return table.text();
}

}  // namespace lriad

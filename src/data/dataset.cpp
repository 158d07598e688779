#include "lriad/data/dataset.h"

#include <algorithm>
#include <system_error>
#include <unordered_map>

#include "listing.h"
#include "lriad/core/error.h"
#include "readers.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::string spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

fs::path real_file(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) fail("data", "cannot open the data file ", path, ": ", error.message());
  if (fs::is_directory(real, error)) fail("data", path, " is a folder, expected a file for format jsonl");
  return real;
}

std::vector<Sample> read_format(const fs::path& root, const DataSection& section) {
  switch (section.format) {
    case DataFormat::kMvtec:
      return read_mvtec(root, section);
    case DataFormat::kVisa:
      return read_visa(root, section);
    case DataFormat::kFolder:
      return read_folder(root, section);
    case DataFormat::kJsonl:
      return read_jsonl(root, section);
  }
  fail("data", "unknown format");
}

/// What every format shares; samples are sorted already.
void fill_in(Dataset& dataset, const DataSection& section) {
  std::unordered_map<std::string, int64_t> seen;
  for (Sample& sample : dataset.samples) {
    const int64_t times = ++seen[sample.image];
    sample.id = times == 1 ? sample.image : concat(sample.image, "#", times);
    sample.path = dataset.root / sample.image;
    const auto alias = section.object_names.find(sample.object);
    sample.object_name = alias == section.object_names.end() ? spaced(sample.object) : alias->second;
  }
}

std::vector<Sample> spread(std::vector<Sample> samples, int64_t most) {
  const auto count = static_cast<int64_t>(samples.size());
  if (most < 1) fail("data", "max_samples is ", most, ", expected at least 1");
  if (most >= count) return samples;
  std::vector<Sample> taken;
  for (int64_t i = 0; i < most; ++i) taken.push_back(std::move(samples[static_cast<size_t>(i * count / most)]));
  return taken;
}

void sort_by_image(std::vector<Sample>& samples) {
  std::stable_sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.image < b.image; });
}

}  // namespace

std::string listed(const std::set<std::string>& names) {
  constexpr size_t kMost = 40;
  std::string text;
  size_t count = 0;
  for (const std::string& name : names) {
    if (++count > kMost) return text + ", ...";
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

std::set<std::string> wanted_objects(const DataSection& section, const std::set<std::string>& known) {
  if (!section.objects) return known;
  for (const std::string& name : *section.objects) {
    if (known.contains(name)) continue;
    fail("data", "data.objects: ", name, " is not in ", section.root, ", expected some of ", listed(known));
  }
  return {section.objects->begin(), section.objects->end()};
}

Dataset read_dataset(const DataSection& section) {
  const bool is_file = section.format == DataFormat::kJsonl;
  const fs::path root = is_file ? real_file(section.root) : real_folder(section.root);
  Dataset dataset;
  dataset.root = is_file ? root.parent_path() : root;
  dataset.samples = read_format(root, section);
  if (dataset.samples.empty()) {
    fail("data", section.root, " has no images of split ", section.split, " for the wanted objects");
  }
  sort_by_image(dataset.samples);
  fill_in(dataset, section);
  if (section.max_samples) dataset.samples = spread(std::move(dataset.samples), *section.max_samples);
  return dataset;
}

}  // namespace lriad

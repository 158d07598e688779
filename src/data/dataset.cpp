#include "lriad/data/dataset.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/data/mask.h"
#include "readers.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::string spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

Listing read_format(const DataSection& section) {
#define LRIAD_READ_FORMAT(name, ...) \
  if (section.format == #name) return read_##name(section);
  LRIAD_DATA_FORMATS(LRIAD_READ_FORMAT)
#undef LRIAD_READ_FORMAT
  fail("data", "data.format is ", section.format, ", expected one of ", data_format_names(", "));
}

/// What every format shares; samples are sorted already.
void fill_in(Dataset& dataset, const DataSection& section) {
  std::unordered_map<std::string, int64_t> seen;
  for (Sample& sample : dataset.samples) {
    const int64_t times = ++seen[sample.image];
    sample.id = times == 1 ? sample.image : concat(sample.image, "#", times);
    sample.path = dataset.root / sample.image;
    if (!sample.mask.empty()) sample.mask = dataset.root / sample.mask;
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
  for (const auto& [name, alias] : section.object_names) {
    if (known.contains(name)) continue;
    fail("data", "data.object_names: ", name, " is not in ", section.root, ", expected some of ", listed(known));
  }
  if (!section.objects) return known;
  for (const std::string& name : *section.objects) {
    if (known.contains(name)) continue;
    fail("data", "data.objects: ", name, " is not in ", section.root, ", expected some of ", listed(known));
  }
  return {section.objects->begin(), section.objects->end()};
}

void keep_wanted(const DataSection& section, const std::set<std::string>& known, std::vector<Sample>& samples) {
  const std::set<std::string> objects = wanted_objects(section, known);
  std::erase_if(samples, [&](const Sample& sample) { return !objects.contains(sample.object); });
}

void check_split(const DataSection& section, const std::set<std::string>& known) {
  if (known.contains(section.split)) return;
  fail("data", "data.split is ", section.split, ", expected one of ", listed(known), " for ", section.root,
       " read as format ", section.format);
}

void take_images(const Folder& folder, const std::string& object, std::optional<Verdict> label,
                 const std::string& defect_type, const fs::path& masks, std::vector<Sample>& samples) {
  for (const std::string& image : folder.images()) {
    Sample sample;
    sample.image = folder.relative_of(image);
    sample.object = object;
    sample.label = label;
    if (label == Verdict::kDefect) {
      sample.defect_type = defect_type;
      sample.mask = find_mask(masks, fs::path(image).stem().string());
    }
    samples.push_back(std::move(sample));
  }
}

Dataset read_dataset(const DataSection& section) {
  Listing listing = read_format(section);
  Dataset dataset{std::move(listing.root), std::move(listing.samples), std::move(listing.left_out)};
  if (dataset.samples.empty()) {
    fail("data", section.root, " has no images of split ", section.split, " for the wanted objects");
  }
  if (!dataset.left_out.empty()) {
    log_warning(concat("[data] ", section.root, ": with data.split ", section.split, ", format ", section.format,
                       " does not read ", listed({dataset.left_out.begin(), dataset.left_out.end()})));
  }
  sort_by_image(dataset.samples);
  fill_in(dataset, section);
  if (section.max_samples) dataset.samples = spread(std::move(dataset.samples), *section.max_samples);
  return dataset;
}

}  // namespace lriad

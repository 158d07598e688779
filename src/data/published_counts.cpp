#include "lriad/data/published_counts.h"

#include <algorithm>
#include <filesystem>

#include "lriad/core/error.h"
#include "published_sets.h"

namespace lriad {
namespace {

/// Sum of the parts, or nothing if one is not known.
std::optional<int64_t> sum(std::initializer_list<int64_t> parts) {
  int64_t total = 0;
  for (const int64_t part : parts) {
    if (part == kUnknown) return std::nullopt;
    total += part;
  }
  return total;
}

/// The part of data.split behind a table's name: test of 2cls_highshot/test.
std::string part_of(const DataSection& section) { return section.split.substr(section.split.find('/') + 1); }

std::optional<ObjectCounts> counts_of(const PublishedObject& object, const DataSection& section) {
  const std::string part = part_of(section);
  // Format mvtec has no validation images under `all`, other layouts with such images have.
  const int64_t validation = section.format == "mvtec" ? 0 : object.validation_normal;
  std::optional<int64_t> normal, defect;
  if (part == "all") {
    normal = sum({object.train_normal, validation, object.test_normal});
    defect = sum({object.train_defect, object.test_defect});
  } else if (part == "train") {
    normal = sum({object.train_normal});
    defect = sum({object.train_defect});
  } else if (part == "validation") {
    normal = sum({object.validation_normal});
    defect = 0;
  } else if (part == "test") {
    normal = sum({object.test_normal});
    defect = sum({object.test_defect});
  }
  if (!normal || !defect) return std::nullopt;
  const bool all_defects = *defect == object.train_defect + object.test_defect;
  return ObjectCounts{*normal, *defect, 0, all_defects ? object.defect_types : std::map<std::string, int64_t>()};
}

bool is_variant(const PublishedSet& set, const DataSection& section) {
  const std::filesystem::path root = std::filesystem::path(section.root).lexically_normal();
  return section.split.starts_with(set.variant + "/") || std::find(root.begin(), root.end(), set.variant) != root.end();
}

const PublishedSet* likely_set(const DataSection& section, const std::map<std::string, ObjectCounts>& objects) {
  const PublishedSet* best = nullptr;
  int64_t most = 0;
  for (const PublishedSet& set : published_sets()) {
    int64_t shared =
        std::ranges::count_if(set.objects, [&](const auto& object) { return objects.contains(object.name); });
    if (!set.variant.empty() && !is_variant(set, section)) shared = 0;
    if (shared > most || (shared > 0 && shared == most && !set.variant.empty())) {
      most = shared;
      best = &set;
    }
  }
  return best;
}

}  // namespace

std::map<std::string, ObjectCounts> count_objects(const Dataset& dataset) {
  std::map<std::string, ObjectCounts> objects;
  for (const Sample& sample : dataset.samples) {
    ObjectCounts& counts = objects[sample.object];
    if (!sample.label) {
      ++counts.unlabelled;
    } else if (*sample.label == Verdict::kNormal) {
      ++counts.normal;
    } else {
      ++counts.defect;
      if (!sample.defect_type.empty()) ++counts.defect_types[sample.defect_type];
    }
  }
  return objects;
}

std::optional<PublishedCounts> published_counts(const DataSection& section,
                                                const std::map<std::string, ObjectCounts>& objects) {
  const PublishedSet* set = likely_set(section, objects);
  if (set == nullptr) return std::nullopt;
  PublishedCounts published{set->name, set->source, {}};
  for (const PublishedObject& object : set->objects) {
    const auto counts = counts_of(object, section);
    if (!counts) return std::nullopt;
    published.objects.emplace(object.name, *counts);
  }
  return published;
}

std::vector<std::string> count_differences(const DataSection& section,
                                           const std::map<std::string, ObjectCounts>& counts,
                                           const PublishedCounts& published) {
  std::vector<std::string> found;
  const auto compare = [&](const std::string& what, int64_t here, int64_t there) {
    if (here != there) found.push_back(concat(what, ": ", here, ", published ", there));
  };
  for (const auto& [name, expected] : published.objects) {
    const auto here = counts.find(name);
    if (here == counts.end()) {
      if (!section.objects) found.push_back(concat(name, ": missing"));
      continue;
    }
    compare(concat(name, ", normal"), here->second.normal, expected.normal);
    compare(concat(name, ", defect"), here->second.defect, expected.defect);
    for (const auto& [type, count] : expected.defect_types) {
      const auto type_here = here->second.defect_types.find(type);
      compare(concat(name, ", ", type), type_here == here->second.defect_types.end() ? 0 : type_here->second, count);
    }
  }
  for (const auto& [name, here] : counts) {
    if (!published.objects.contains(name)) found.push_back(concat(name, ": not an object of ", published.set));
  }
  return found;
}

}  // namespace lriad

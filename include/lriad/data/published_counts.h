#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/data/dataset.h"

namespace lriad {

/// Images of an object by what they are.
struct ObjectCounts {
  int64_t normal = 0, defect = 0, unlabelled = 0;
  std::map<std::string, int64_t> defect_types;
};

/// Counts by object.
std::map<std::string, ObjectCounts> count_objects(const Dataset& dataset);

/// What is published of a data set about the asked-for split of the objects that are at hand.
struct PublishedCounts {
  std::string set;                              ///< its name
  std::string source;                           ///< where the figures were read
  std::map<std::string, ObjectCounts> objects;  ///< all objects of the set; no defect types where none are published
};

/// The published counts of the set that has most of the names in `objects`; null if none has any, or if nothing is
/// known about section.split. Sets that share their names, as the variants of VisA do, are told apart by the split
/// (2cls_highshot/test) or by the names of the folders in section.root.
std::optional<PublishedCounts> published_counts(const DataSection& section,
                                                const std::map<std::string, ObjectCounts>& objects);

/// What of `counts` does not agree with `published`, a sentence each; empty if all does. Objects that section.objects
/// leaves out are not missed.
std::vector<std::string> count_differences(const DataSection& section,
                                           const std::map<std::string, ObjectCounts>& counts,
                                           const PublishedCounts& published);

}  // namespace lriad

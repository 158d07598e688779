#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lriad {

inline constexpr int64_t kUnknown = -1;

/// Numbers of images that are published of one object.
struct PublishedObject {
  std::string name;
  int64_t train_normal, validation_normal, test_normal, train_defect, test_defect;
  std::map<std::string, int64_t> defect_types;  ///< of train and test; empty: not published
};

struct PublishedSet {
  std::string name;
  std::string variant;  ///< folder or table that tells it from a set with the same objects; "": the usual one
  std::string source;
  std::vector<PublishedObject> objects;
};

/// Facts about public data sets. A count of images is a fact, not part of the data set.
const std::vector<PublishedSet>& published_sets();

}  // namespace lriad

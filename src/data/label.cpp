#include <algorithm>

#include "lriad/data/dataset.h"

namespace lriad {

int64_t Dataset::count(Verdict label) const {
  return std::count_if(samples.begin(), samples.end(), [&](const Sample& sample) { return sample.label == label; });
}

int64_t Dataset::count(Verdict label, const std::string& object) const {
  return std::count_if(samples.begin(), samples.end(),
                       [&](const Sample& sample) { return sample.label == label && sample.object == object; });
}

}  // namespace lriad

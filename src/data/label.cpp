#include <algorithm>

#include "lriad/data/dataset.h"

namespace lriad {

const char* label_name(Label label) { return label == Label::kDefect ? "defect" : "normal"; }

int64_t Dataset::count(Label label) const {
  return std::count_if(samples.begin(), samples.end(), [&](const Sample& sample) { return sample.label == label; });
}

int64_t Dataset::count(Label label, const std::string& object) const {
  return std::count_if(samples.begin(), samples.end(),
                       [&](const Sample& sample) { return sample.label == label && sample.object == object; });
}

}  // namespace lriad

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "lriad/core/replaced.h"
#include "lriad/data/dataset.h"

namespace lriad {

std::string target_response(const Sample& sample, const SftSection& section, uint64_t seed, int64_t epoch,
                            int64_t index) {
  if (!sample.response.empty()) return sample.response;
  if (!sample.label) fail("data", sample.image, " has no label and no response, expected one of them for stage sft");
  const auto texts = section.responses.find(verdict_name(*sample.label));
  if (texts == section.responses.end() || texts->second.empty()) {
    fail("data", sample.image, " has no response and sft.responses none for ", verdict_name(*sample.label),
         "; give one for stage sft");
  }
  const auto counter = static_cast<uint64_t>(index);
  const uint64_t drawn = CounterRandom(seed, RandomUse::kResponse)
                             .below(texts->second.size(), static_cast<uint32_t>(epoch), static_cast<uint32_t>(counter),
                                    static_cast<uint32_t>(counter >> 32));
  std::string type = sample.defect_type;
  std::replace(type.begin(), type.end(), '_', ' ');
  return replaced(replaced(texts->second[drawn], "{object}", sample.object_name), "{defect_type}", type);
}

}  // namespace lriad

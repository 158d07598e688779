#include "lriad/grpo/group.h"

#include <ATen/ATen.h>

namespace lriad {

int64_t Group::num_tokens() const {
  int64_t tokens = 0;
  for (const GroupCompletion& completion : completions) tokens += completion.length();
  return tokens;
}

at::Tensor Group::of_completion(const at::Tensor& values_M, std::size_t completion) const {
  int64_t begin = 0;
  for (std::size_t i = 0; i < completion; ++i) begin += completions[i].length();
  return values_M.slice(0, begin, begin + completions.at(completion).length());
}

std::vector<const Group*> addresses_of(std::span<const Group> groups) {
  std::vector<const Group*> addresses;
  for (const Group& group : groups) addresses.push_back(&group);
  return addresses;
}

}  // namespace lriad

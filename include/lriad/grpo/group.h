#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lriad/core/verdict.h"
#include "lriad/generation/generate.h"
#include "lriad/grpo/reward.h"

namespace lriad {

/// A completion with what a step works out for it. Stage sft: the target text; only ids, text and weight are set.
struct GroupCompletion : Completion {
  GroupCompletion() = default;
  explicit GroupCompletion(Completion completion) : Completion(std::move(completion)) {}

  std::string text;  ///< special tokens skipped
  Verdict verdict = Verdict::kInvalid;
  Reward reward;
  double advantage = 0;
  double weight = 0;  ///< factor of each of its token losses in the step's sum; 0: does not count

  int64_t length() const { return static_cast<int64_t>(ids.size()); }
};

/// A prompt with the completions that follow it, from sampling to the loss: G completions, M tokens in all. Per-token
/// tensors stand in the order [completion][token].
struct Group {
  int64_t prompt_index = 0;  ///< of the prompt in the step's batch over all ranks
  int64_t sample_index = 0;  ///< into the data set
  std::string sample_id;
  bool is_defect = false;
  std::vector<int64_t> prompt_ids;
  std::vector<Grid> grids;     ///< of the prompt's images, in order
  std::vector<float> patches;  ///< of its image (vision/image_processor.h) where the tower is trained, else empty
  at::Tensor features_ID;      ///< rows of the prompt's images, [image tokens, hidden size]; undefined without any
  uint64_t dropout_seed = 0;   ///< each completion draws masks of its own from it

  std::vector<GroupCompletion> completions;
  double advantage_factor = 1;              ///< reward.focal.where: advantage
  int64_t resamples = 0;                    ///< how often grpo.zero_variance sampled the group again
  int64_t discarded_tokens = 0;             ///< prompt and completion tokens of what was sampled before
  at::Tensor old_M, reference_M, policy_M;  ///< log-probabilities in nats; undefined: not computed

  int64_t num_tokens() const;  ///< M
  /// The part of a per-token tensor [M] that belongs to a completion.
  at::Tensor of_completion(const at::Tensor& values_M, std::size_t completion) const;
};

/// A pointer to each group, as the packed passes take them.
std::vector<const Group*> addresses_of(std::span<const Group> groups);

}  // namespace lriad

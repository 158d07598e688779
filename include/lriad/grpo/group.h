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

/// A completion and what a training step computes for it. In the stage sft it is the target text, and only ids, text
/// and weight are set.
struct GroupCompletion : Completion {
  GroupCompletion() = default;
  explicit GroupCompletion(Completion completion) : Completion(std::move(completion)) {}

  std::string text;  ///< decoded without special tokens
  Verdict verdict = Verdict::kInvalid;
  Reward reward;
  double advantage = 0;
  double weight = 0;  ///< factor of its token losses in the step's loss, from completion_weights(); 0: left out

  int64_t length() const { return static_cast<int64_t>(ids.size()); }
};

/// A prompt with its G completions, from sampling to the loss. They have M tokens in all; tensors [M] are in the order
/// [completion][token].
struct Group {
  int64_t prompt_index = 0;  ///< number of the prompt in the step's batch over all ranks
  int64_t sample_index = 0;  ///< index of the sample in the data set
  std::string sample_id;
  bool is_defect = false;
  std::vector<int64_t> prompt_ids;
  std::vector<Grid> grids;     ///< of the prompt's images, in order
  std::vector<float> patches;  ///< of its images (vision/image_processor.h) if the vision tower is trained, else empty
  at::Tensor features_ID;      ///< vision tower's output, [image tokens, feature_dim()], for sampling and, unless there
                               ///< are patches, for passes; undefined without images
  std::vector<std::string> reference_images;  ///< Sample::image of the reference images
  uint64_t dropout_seed = 0;                  ///< seed from which each completion's dropout masks are derived

  std::vector<GroupCompletion> completions;
  double advantage_factor = 1;              ///< factor of its advantages, from advantage_weight()
  int64_t resamples = 0;                    ///< how often grpo.zero_variance sampled the group again
  int64_t discarded_tokens = 0;             ///< prompt and completion tokens of the rounds sampled before
  at::Tensor old_M, reference_M, policy_M;  ///< log-probabilities in nats; undefined if not computed

  int64_t num_tokens() const;  ///< M
  /// The part of a per-token tensor [M] that belongs to a completion.
  at::Tensor of_completion(const at::Tensor& values_M, std::size_t completion) const;
};

/// Pointers to the groups, for pack_groups() and loss_inputs().
std::vector<const Group*> addresses_of(std::span<const Group> groups);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/grpo/group.h"

namespace lriad {

/// Inputs of the loss for each completion token, all [M] of one floating dtype, in the order
/// [group][completion][token].
struct LossInputs {
  at::Tensor logp_M;       ///< log-probability of the token under the policy; the loss is differentiated by it
  at::Tensor old_M;        ///< log-probability when it was sampled; undefined: logp_M detached (num_iterations 1)
  at::Tensor reference_M;  ///< under the reference; undefined: no KL term, or old_M's if kl_anchor is old
  at::Tensor advantage_M;  ///< advantage of the token's completion
  at::Tensor weight_M;     ///< factor of the token's loss; tokens of weight 0 are left out, even if they are not finite
};

/// Collects everything but logp_M, which the forward pass gives. A tensor that the groups lack stays undefined.
LossInputs loss_inputs(std::span<const Group* const> groups, at::ScalarType dtype, const at::Device& device);

/// Sums over the tokens whose weight is not 0, as scalars on the device of the inputs. Divided by the step's number of
/// tokens, kl and the clip counts become the means that are logged.
struct LossSums {
  at::Tensor loss;       ///< sum of weight * token loss; carries the gradient
  at::Tensor kl;         ///< sum of the KL estimate k3
  at::Tensor clip_low;   ///< number of tokens clipped below with A < 0
  at::Tensor clip_high;  ///< number of tokens clipped above with A > 0
};

/// Factor of each completion's token losses, so that their sum over the step is the loss of `type` (TRL's loss_type):
/// grpo 1 / (count * lengths[i]); bnpo and dapo 1 / tokens; dr_grpo 1 / (count * max_completion_length). lengths[i] is
/// the number of tokens of completion i, 0 for those left out; `count` is the number of completions and `tokens` the
/// number of tokens in the step over all ranks.
std::vector<double> completion_weights(const std::vector<int64_t>& lengths, LossType type, int64_t count,
                                       int64_t tokens, int64_t max_completion_length);

/// Sum over tokens of weight * (-s A + beta k3). s is logp (policy_loss logp; paper, eq. 9) or the clipped ratio (TRL),
/// and k3 = exp(ref - logp) - (ref - logp) - 1. Throws Error if the shapes of the inputs differ.
LossSums grpo_loss(const LossInputs& in, const GrpoSection& section);

/// Gradient of the loss by the log-probabilities of C tokens from `begin` on, which are given as logp_C. `in` holds the
/// other inputs for all M tokens; its logp_M is not used. Returns [C].
at::Tensor grpo_logprob_gradient(const LossInputs& in, const at::Tensor& logp_C, int64_t begin,
                                 const GrpoSection& section);

}  // namespace lriad

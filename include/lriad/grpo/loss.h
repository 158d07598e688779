#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/grpo/group.h"

namespace lriad {

/// What the loss of each completion token is made of; M tokens in the order of the groups and their completions.
struct LossInputs {
  at::Tensor logp_M;       ///< float, carries the gradient: log pi of the token
  at::Tensor old_M;        ///< float or undefined: undefined = detached logp (num_iterations 1)
  at::Tensor reference_M;  ///< float or undefined: no KL term, or with kl_anchor old that of old_M
  at::Tensor advantage_M;  ///< float: advantage of the token's completion
  at::Tensor weight_M;     ///< float: factor of the token's loss in the step's sum; tokens of weight 0 do not count,
                           ///< whatever their other numbers are
};

/// All of it but logp_M, which the policy pass gives. Undefined log-probabilities of the groups stay undefined.
LossInputs loss_inputs(std::span<const Group* const> groups, at::ScalarType dtype, const at::Device& device);

/// Sums over the tokens that count, as scalars on the device of the inputs; token means of the whole step come from
/// dividing by the step's token count.
struct LossSums {
  at::Tensor loss;       ///< with gradient: sum of weight * l
  at::Tensor kl;         ///< sum of k3
  at::Tensor clip_low;   ///< number of tokens clipped below with A < 0
  at::Tensor clip_high;  ///< number of tokens clipped above with A > 0
};

/// Factor of each completion's token losses so that the sum over the step is the loss of `loss_type`; lengths[i] =
/// tokens of completion i, 0 for masked or dropped ones; `count` = N, completions that stay in the normaliser, `tokens`
/// = sum n_i over the whole step and all ranks. grpo 1/(N n_i); bnpo, dapo 1/tokens; dr_grpo 1/(N
/// max_completion_length).
std::vector<double> completion_weights(const std::vector<int64_t>& lengths, LossType type, int64_t count,
                                       int64_t tokens, int64_t max_completion_length);

/// Sum over tokens of weight * (-s A + beta k3) with s = logp (policy_loss logp, paper eq. 9) or the clipped ratio
/// (TRL), and k3 = exp(ref - logp) - (ref - logp) - 1.
LossSums grpo_loss(const LossInputs& in, const GrpoSection& section);

/// d loss / d logp of the tokens from `begin` on, whose log-probabilities are logp_C; `in` is that of all tokens but
/// for its logp_M.
at::Tensor grpo_logprob_gradient(const LossInputs& in, const at::Tensor& logp_C, int64_t begin,
                                 const GrpoSection& section);

}  // namespace lriad

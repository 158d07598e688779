#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// Per-row quantities of completion tokens, packed: row k belongs to completion `owner[k]`. M rows in all.
struct LossInputs {
  at::Tensor logp_M;       ///< float, carries the gradient: log pi of the token
  at::Tensor old_M;        ///< float or undefined: undefined = detached logp (num_iterations 1)
  at::Tensor reference_M;  ///< float or undefined: no KL term, or with kl_anchor old that of old_M
  at::Tensor advantage_M;  ///< float: advantage of the row's completion
  at::Tensor weight_M;     ///< float: factor of the row's loss in the step's sum, from completion_weights()
};

/// Sums over rows; token means of the whole step come from dividing by the step's token count.
struct LossSums {
  at::Tensor loss;                     ///< scalar with gradient: sum of weight * l
  double kl_sum = 0;                   ///< sum of k3 over rows with weight != 0
  double clip_low = 0, clip_high = 0;  ///< number of rows clipped below with A < 0, above with A > 0
};

/// Factor of each completion's token losses so that the sum over the step is the loss of `loss_type`; lengths[i] =
/// tokens of completion i, 0 for masked or dropped ones; `count` = N, completions that stay in the normaliser, `tokens`
/// = sum n_i over the whole step and all ranks. grpo 1/(N n_i); bnpo, dapo 1/tokens; dr_grpo 1/(N
/// max_completion_length).
std::vector<double> completion_weights(const std::vector<int64_t>& lengths, LossType type, int64_t count,
                                       int64_t tokens, int64_t max_completion_length);

/// Sum over rows of weight * (-s A + beta k3): s = logp (policy_loss logp) or the clipped ratio; interfaces, "Loss".
LossSums grpo_loss(const LossInputs& in, const GrpoSection& section);

/// d loss / d logp of the rows from `begin` on, whose log-probabilities are logp_C; `in` is that of all rows but for
/// its logp_M.
at::Tensor grpo_logprob_gradient(const LossInputs& in, const at::Tensor& logp_C, int64_t begin,
                                 const GrpoSection& section);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/run/trained_parameters.h"

namespace lriad {

/// torch.optim.AdamW(fused=True) over flat parameters.
class AdamW {
 public:
  AdamW(FlatParameters& parameters, const OptimSection& section);
  /// As torch.nn.utils.clip_grad_norm_: scales the gradients by min(1, max_grad_norm / (norm + 1e-6)), unless
  /// max_grad_norm is 0. Returns the norm before scaling, which may be non-finite.
  double clip_gradients();
  /// Updates the parameters with gradients().
  void step(double learning_rate);
  int64_t num_steps() const { return num_steps_; }
  /// Copies on the CPU of optimizer.exp_avg [P], optimizer.exp_avg_sq [P] and optimizer.steps [1] int64.
  std::map<std::string, at::Tensor> state() const;
  /// Restores the result of state(); throws Error for a missing tensor or another size or dtype.
  void restore(const std::map<std::string, at::Tensor>& state);

 private:
  void update(int64_t begin, int64_t end, double learning_rate, double weight_decay);
  FlatParameters& parameters_;
  OptimSection section_;
  int64_t num_steps_ = 0;
  at::Tensor exp_avg_, exp_avg_sq_;
};

}  // namespace lriad

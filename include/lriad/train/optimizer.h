#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// One trained tensor: a leaf that requires a gradient. `decay` false: weight decay skips it (biases, norms).
struct TrainedParameter {
  std::string name;
  at::Tensor tensor;
  bool decay = true;
};

/// All trained parameters as views of one flat buffer [P], and their gradients as views of another, so that a step
/// sums, clips and updates one tensor. The buffers are float64 if the parameters are, else float32: half-precision
/// parameters keep a float32 master. Decayed parameters come first; within both parts the given order stays. All
/// tensors must share dtype and device; throws Error otherwise. Not movable: the parameters point into it.
class FlatParameters {
 public:
  explicit FlatParameters(const std::vector<TrainedParameter>& parameters);
  FlatParameters(const FlatParameters&) = delete;
  FlatParameters& operator=(const FlatParameters&) = delete;

  at::Tensor& values() { return values_; }        ///< [P] master values
  at::Tensor& gradients() { return gradients_; }  ///< [P] what backward passes added up
  int64_t num_decayed() const { return num_decayed_; }
  /// Moves half-precision gradients into gradients(); call after each backward pass. Nothing to do at full precision.
  void collect_gradients();
  /// Rounds the master values into half-precision parameters; call after each update. Nothing to do at full precision.
  void publish_values();
  void zero_gradients();
  /// Views of the master values by name, in the parameters' shapes.
  std::map<std::string, at::Tensor> named_values() const;
  /// Views of gradients(), one per parameter, in flat order.
  std::vector<at::Tensor> gradient_views() const;
  /// Replaces the master values of every parameter (any float dtype and device) and publishes them. Throws Error naming
  /// missing or misshapen tensors.
  void load_values(const std::map<std::string, at::Tensor>& tensors);

 private:
  struct Range {
    std::string name;
    int64_t begin = 0;
    std::vector<int64_t> shape;
    int64_t size = 0;
  };
  std::vector<Range> ranges_;
  int64_t num_decayed_ = 0;
  at::Tensor values_, gradients_;
  at::Tensor low_values_, low_gradients_;  ///< defined for half-precision parameters only
};

/// torch.optim.AdamW(fused=True) over flat parameters, on the CPU and on CUDA.
class AdamW {
 public:
  AdamW(FlatParameters& parameters, const OptimSection& section);
  /// torch.nn.utils.clip_grad_norm_: scales the gradients by min(1, max_grad_norm / (norm + 1e-6)) and returns the norm
  /// before, which may be non-finite; max_grad_norm 0 scales nothing.
  double clip_gradients();
  void step(double learning_rate);
  int64_t num_steps() const { return num_steps_; }
  /// optimizer.exp_avg [P], optimizer.exp_avg_sq [P], optimizer.steps [1] int64: copies on the CPU.
  std::map<std::string, at::Tensor> state() const;
  /// Takes what state() gave; throws Error for a missing tensor or another size or dtype.
  void restore(const std::map<std::string, at::Tensor>& state);

 private:
  void update(int64_t begin, int64_t end, double learning_rate, double weight_decay);
  FlatParameters& parameters_;
  OptimSection section_;
  int64_t num_steps_ = 0;
  at::Tensor exp_avg_, exp_avg_sq_;
};

}  // namespace lriad

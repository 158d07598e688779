#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/model/qwen2_vl.h"

namespace lriad {

/// One trained tensor: a leaf that requires a gradient.
struct TrainedParameter {
  std::string name;
  at::Tensor tensor;
  bool decay = true;  ///< whether weight decay applies; false for biases and norms
};

/// All trained parameters as views of one flat buffer [P], and their gradients as views of another, so that a step
/// sums, clips and updates one tensor. Both are float64 for float64 parameters, else float32; half-precision parameters
/// are rounded from these master values. Parameters with weight decay come first, otherwise the given order is kept.
/// Throws Error if there are none or they differ in dtype or device. Not movable, since the parameters point into it.
class FlatParameters {
 public:
  explicit FlatParameters(const std::vector<TrainedParameter>& parameters);
  FlatParameters(const FlatParameters&) = delete;
  FlatParameters& operator=(const FlatParameters&) = delete;

  at::Tensor& values() { return values_; }              ///< [P] master values
  at::Tensor& gradients() { return gradients_; }        ///< [P] gradients accumulated over backward passes
  int64_t num_decayed() const { return num_decayed_; }  ///< leading elements to which weight decay applies
  /// Adds half-precision gradients to gradients() and clears them; call it after each backward pass. Does nothing at
  /// full precision.
  void collect_gradients();
  /// Rounds the master values into half-precision parameters; call it after each update. Does nothing at full
  /// precision.
  void publish_values();
  void zero_gradients();
  /// Views of the master values by name, in the parameters' shapes.
  std::map<std::string, at::Tensor> named_values() const;
  /// Views of gradients(), one per parameter, in flat order.
  std::vector<at::Tensor> gradient_views() const;
  /// Replaces all master values (from tensors of any float dtype and device) and publishes them. Throws Error naming
  /// tensors that are missing or have another shape.
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

/// The tensors to train, which then require gradients: the adapter's, or all weights of the model. Weight decay does
/// not apply to biases and norms, as in transformers' Trainer.
std::vector<TrainedParameter> trained_parameters(Qwen2Vl& model, Trainable trainable);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/model/qwen2_vl.h"

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

/// The tensors that `trainable` trains, made to require gradients: the adapter, or every weight of the model. Weight
/// decay skips biases and norms, as transformers' Trainer.
std::vector<TrainedParameter> trained_parameters(Qwen2Vl& model, Trainable trainable);

}  // namespace lriad

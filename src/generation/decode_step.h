#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "lriad/generation/generate.h"
#include "lriad/generation/kv_cache.h"
#include "lriad/model/qwen2_vl.h"
#include "lriad/model/rope.h"

namespace lriad {

/// What is sampled, and from what, on the device: B sequences, N tokens each at most.
struct SamplingTensors {
  at::Tensor uniforms_NB;  ///< float64
  at::Tensor banned, eos;  ///< ids, int64
  at::Tensor ids_BN;       ///< int64
  at::Tensor trace_BN5;    ///< float64: the fields of TokenTrace
};

/// One step of decoding on a GPU over tensors that stay the same: our kernels (kernels/operators.h) between the matrix
/// products, 9 launches a layer. Which token comes next stands on the device, no operator's shape depends on it, and
/// the host reads nothing, so that the step can be recorded (step_graph.h). Ended sequences are computed to the end:
/// a product reads the same weights for fewer rows, and with fixed rows a token's bits do not depend on other
/// sequences.
class DecodeStep {
 public:
  /// Whether a device, a model and settings are served; the others go operator by operator (KvCache::decode).
  static bool serves(Qwen2Vl& model, const GenerationSettings& settings);

  DecodeStep(Qwen2Vl& model, const KvCache& cache, const GenerationSettings& settings, const Rotary& rotary_NBD,
             SamplingTensors sampling);

  /// Samples each sequence's first token from logits [B, V] after its prompt.
  void first(const at::Tensor& logits_BV);
  /// Computes the newest token of each sequence and samples the next one.
  void next();
  /// How many sequences have ended; waits for the device.
  int64_t num_ended() const;

 private:
  using Optional = std::optional<at::Tensor>;
  struct Layer {
    LinearImpl *o_proj, *gate_proj, *up_proj, *down_proj;
    at::Tensor input_norm, post_norm;
    at::Tensor qkv, gate_up;  ///< stacked weights; gate_up is undefined where one of the two has an adapter
    Optional qkv_bias, query_norm, key_norm;
    Optional lora_a, lora_b, middle;  ///< of q, k and v
    std::array<int64_t, 3> ranks{};
    CacheBuffers cache;
  };

  Layer make_layer(int64_t index, const KvCache& cache);
  void norm(const Optional& added, const at::Tensor& weight, const Optional& lora_a, const Optional& middle);
  void attention(Layer& layer, const Optional& added);
  void gated(Layer& layer);
  void sample();
  at::Tensor scratch(at::IntArrayRef sizes) const { return at::empty(sizes, options_); }

  Qwen2Vl& model_;
  const GenerationSettings& settings_;
  at::TensorOptions options_;  ///< of the model's weights
  Rotary rotary_NBD_;
  SamplingTensors sampling_;
  at::Tensor embedding_, final_norm_, prompt_lengths_J_;
  at::Tensor next_ids_B_, num_sampled_B_, ended_B_, num_ended_1_;
  at::Tensor x_BD_, normed_BD_, delta_BD_;  ///< residual stream, its norm, and what it grows by
  at::Tensor projected_, queries_, attended_, partial_, tickets_, gate_up_, gated_, logits_BV_;
  std::vector<Layer> layers_;
};

}  // namespace lriad

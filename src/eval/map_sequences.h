#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "lriad/data/prepare.h"
#include "lriad/eval/model_maps.h"
#include "lriad/grpo/group.h"
#include "lriad/model/qwen2_vl.h"

// Shape letters: C cells, R rows of reference images, D hidden size, T rows of a pass, P images.
namespace lriad {

/// An image's sequences in a packed pass: its prompt with the answer after it, and the probe after the same prompt.
struct Sequence {
  int64_t begin = 0, end = 0;  ///< rows of prompt and answer; the last answer token has none
  int64_t num_answer_rows = 0;
  int64_t letter_row = 0;   ///< where the probe's letter is predicted
  at::Tensor image_rows_C;  ///< rows of the image's tokens, the last of the prompt, counted from `begin`
};

/// Packs prompts with what follows them, and remembers the rows.
class Sequences {
 public:
  Sequences(const ModelConfig& config, const MapProbe& probe);
  /// `references_RD`: features of its reference images, undefined without any. `answer` may be empty.
  void add(const PreparedSample& sample, const at::Tensor& references_RD, const at::Tensor& features_CD,
           const std::vector<int64_t>& answer);
  PackedTokens pack(const at::Device& device) const;
  const std::vector<Sequence>& all() const { return all_; }

 private:
  const ModelConfig& config_;
  MapProbe probe_;
  std::vector<Group> groups_;
  std::vector<Sequence> all_;
  int64_t rows_ = 0;
};

/// s of each sequence [P]. Only the head's two rows are needed, and their difference is rounded once.
at::Tensor scores_of(const Qwen2Vl& model, const at::Tensor& hidden_TD, const Sequences& sequences,
                     const MapProbe& probe);

/// Features of the reference images of each sample, undefined for one without any. No map is made of these, so they
/// carry no gradient.
std::vector<at::Tensor> reference_features(Qwen2Vl& model, std::span<const PreparedSample> samples);

}  // namespace lriad

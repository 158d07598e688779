#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "lriad/model/attention.h"
#include "lriad/run/memory_plan.h"

namespace lriad {

/// A training pass: packed rows, completion tokens that they predict, and logits that exist at once.
struct PassSize {
  int64_t rows = 0, tokens = 0, logits = 0;
  int64_t images = 0;  ///< of all prompts
};

/// Sizes that the formulas share. `b` is the number of bytes per element in the model's dtype, `f` in the dtype of sums
/// (float32 or float64), `kv` the width of keys, `merged` the number of patches per image token.
class Sizes {
 public:
  explicit Sizes(const PlanInput& in);

  int64_t group_rows(bool shared) const {
    const int64_t own = std::max<int64_t>(0, tokens - 1);
    return shared ? prompt + generations * own : generations * (prompt + own);
  }
  /// Bytes that a layer of the decoder saves per row for its backward pass.
  int64_t saved_per_row_and_layer() const;
  /// cos and sin of the rotary embedding.
  int64_t rotary(int64_t rows) const { return rows * 2 * text.head_dim * b; }
  /// Temporaries of a layer in a pass without gradients, the larger of two: in the MLP gate, up, silu(gate) and four
  /// tensors of the hidden size; in attention q, k, v, the result and two copies of the scores.
  int64_t forward_temporaries(int64_t rows, int64_t scores) const {
    const int64_t mlp = rows * b * (3 * text.intermediate_size + 4 * text.hidden_size);
    const int64_t attention = rows * b * (2 * text.hidden_size + 2 * q + 2 * kv) + 2 * f * scores;
    return rotary(rows) + std::max(mlp, attention);
  }
  /// Temporaries of a layer's backward pass besides what was saved, the larger of two: in the MLP the gradients of
  /// gate, up and their product; in attention copies of the scores, at a time when gate and up have been freed.
  int64_t backward_temporaries(int64_t rows) const {
    const int64_t mlp = rows * b * 3 * text.intermediate_size;
    const int64_t scores = std::max(2 * first_block(), 3 * std::max(later_blocks(), completion_scores()));
    return std::max(mlp, f * scores + rows * (2 * f * kv + b * (q - 2 * text.intermediate_size)));
  }
  /// Number of attention scores in the largest block of a pass over prompts, and of one over groups.
  int64_t prompt_scores() const { return std::max(first_block(), later_blocks()); }
  int64_t group_scores() const { return std::max(prompt_scores(), completion_scores()); }
  /// Bytes that a vision tower saves per patch if weights of it, or branches in it, are trained; else 0.
  int64_t tower_saved_per_patch() const;
  /// Bytes of the rows that images of so many patches give the decoder.
  int64_t features(int64_t of_patches) const {
    return of_patches / merged * text.hidden_size * (1 + vision.num_deepstack()) * b;
  }
  /// A chunk of logits and their softmax.
  int64_t head_temporaries(const PassSize& pass) const {
    return std::min(std::max<int64_t>(1, pass.logits / text.vocab_size), pass.tokens) * text.vocab_size * 2 * f;
  }

  const Config& config;
  const AdapterConfig& adapter;
  const TextConfig& text;
  const VisionConfig& vision;
  int64_t prompt, patches, images;  // images of a prompt, each of at most so many patches
  bool grpo, all;
  bool tower = false;  ///< whether weights or branches of the vision tower are trained
  int64_t b, f, prompts, generations, tokens, q, kv, merged;
  int64_t parameters = 0, lora_parameters = 0;

 private:
  int64_t first_block() const {
    return text.num_attention_heads * std::min(prompt, kPromptBlock) * std::min(prompt, kPromptBlock);
  }
  int64_t later_blocks() const {
    const int64_t whole = prompt / kPromptBlock;
    if (whole == 0) return 0;
    const int64_t last = prompt % kPromptBlock * prompt;
    return text.num_attention_heads * std::max(last, whole > 1 ? kPromptBlock * kPromptBlock * whole : 0);
  }
  int64_t completion_scores() const {
    const int64_t one = text.num_attention_heads * tokens * (prompt + tokens);
    return std::min(generations * one, std::max(one, kScoresAtOnce));
  }
  int64_t saved_by_branch(const std::string& path, const std::vector<int64_t>& shape, int64_t r) const;

  int64_t branches_per_row_ = 0;    ///< bytes that the decoder's branches save per row
  int64_t branches_per_patch_ = 0;  ///< bytes that the tower's branches save per patch
  int64_t first_block_ = 0;         ///< first block of the tower with a branch; its depth: none
};

}  // namespace lriad

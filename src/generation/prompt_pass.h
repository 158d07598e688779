#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "lriad/generation/generate.h"

// Shape letters: J prompts, C sequences, V vocabulary.
namespace lriad {

inline constexpr double kShrinkAt = 0.75;  ///< share of the rows that still run; the copy costs about one token's pass
inline constexpr int64_t kEndTestEvery = 16;  ///< tokens; on a GPU, where the host has to wait for the answer

/// The packed pass over prompts, one span each.
struct PromptPass {
  PackedTokens packed;
  std::vector<int64_t> lengths;
  at::Tensor last_J;  ///< int64, on the device: rows of the last tokens
  at::Tensor next_J;  ///< int64, on the CPU: position of the first token after each prompt
};
PromptPass pack_prompts(const std::vector<GenerationPrompt>& prompts, const ModelConfig& config,
                        const at::Device& device);

/// The fields of TokenTrace of the chosen tokens: [C, 5] float64. raw: logits; scores: the sampler's.
at::Tensor token_traces(const at::Tensor& raw_CV, const at::Tensor& scores_CV, const at::Tensor& chosen_C,
                        const std::array<int64_t, 2>& answer_tokens);

/// Logits in the dtype that they are sampled in.
at::Tensor raw_logits(const at::Tensor& logits_CV);

}  // namespace lriad

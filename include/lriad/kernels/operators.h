#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>

// Our own kernels as operators of libtorch (namespace lriad of its dispatcher) for tensors of a GPU, of float32,
// bfloat16 or float64; sums are in float32 (float64 of float64). Tensors are contiguous and the caller's; results are
// written into them. Throw c10::Error for other dtypes, shapes and devices. Shape letters: B sequences, G sequences of
// a prompt, J = B / G prompts, H query heads, K key heads, D head size, N tokens of a completion, P rows of the longest
// prompt, V vocabulary.
namespace lriad::operators {

/// Whether these operators serve the device: a GPU, in a program built with nvcc.
bool serve(const at::Device& device);

using Optional = std::optional<at::Tensor>;

/// sum = x + added (without `added`: x itself), result = weight * (sum / rms(sum)), scale = 1 / rms(sum) and middle =
/// result lora_a^T, all [rows, ...]; what is not given is not written. `sum` may be x. The last axis is a multiple
/// of 8. Source of the two roundings: transformers, Qwen2RMSNorm.
void norm_rows(const at::Tensor& x, const Optional& added, const at::Tensor& weight, double eps,
               const at::Tensor& result, const Optional& sum, const Optional& scale, const Optional& lora_a,
               const Optional& middle);
/// The gradient of the result of norm_rows to that of x, without that of the weight.
void norm_rows_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                        const at::Tensor& scale, const at::Tensor& x_gradient);

/// From projected [B, (H + 2 K) D] and the middle of its low-rank branches: adds the branches (lora_b: of queries, keys
/// and values [columns, rank], flat, one after another), norms the heads, rotates by the angles [N, B, D] of the newest
/// token, and writes queries [B, H, D] and, at the newest token's index, keys and values [B, K, N, D]. num_sampled
/// int32 [B] counts the tokens sampled so far.
void finish_projections(const at::Tensor& projected, const Optional& middle, const Optional& lora_b,
                        const std::array<int64_t, 3>& ranks, const Optional& query_norm, const Optional& key_norm,
                        double eps, const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& num_sampled,
                        const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values);

/// result [B, H, D]: attention of one query row a sequence over the first prompt_lengths int32 [J] rows of its prompt
/// [J, K, P, D] and its first num_sampled own ones [B, K, N, D], both at scale D^-0.5. Scratch: partial [B, K, splits,
/// H / K, D + 2] in the dtype of sums, tickets int32 [B, K] zeros, left as zeros. D <= 128, a multiple of 8; H / K
/// <= 8.
void cached_attention(const at::Tensor& queries, const at::Tensor& prompt_keys, const at::Tensor& prompt_values,
                      const at::Tensor& keys, const at::Tensor& values, const at::Tensor& prompt_lengths,
                      const at::Tensor& num_sampled, const at::Tensor& partial, const at::Tensor& tickets,
                      const at::Tensor& result);

/// result = silu(gate) * up, [rows, size]; the rows of gate and up may stand apart, as halves of one tensor do.
void silu_times(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& result);
void silu_times_backward(const at::Tensor& gradient, const at::Tensor& gate, const at::Tensor& up,
                         const at::Tensor& gate_gradient, const at::Tensor& up_gradient);

/// result = x cos + turned(x) sin for x [T, heads, D] and tables [T, D], whose halves are equal, where turned(x) has
/// the second half of a head, negative, before the first; `back`: by the negative angles, which is the gradient.
void rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back,
            const at::Tensor& result);

/// Samples the next token of each row from logits [B, V] as generation/sampler.h does with bans and temperature:
/// uniforms float64 [N, B]; banned and ends: ids, int64. Writes ids int64 [B, N], next_ids int64 [B], trace float64 [B,
/// N, 5] (the fields of TokenTrace), and counts num_sampled, ended and num_ended [1] (int32) on.
void sample(const at::Tensor& logits, const at::Tensor& uniforms, const at::Tensor& banned, const at::Tensor& ends,
            const std::array<int64_t, 2>& answer_tokens, double temperature, const at::Tensor& ids,
            const at::Tensor& next_ids, const at::Tensor& trace, const at::Tensor& num_sampled, const at::Tensor& ended,
            const at::Tensor& num_ended);

/// result = x times the dropout mask of rows with these keys (model/dropout.h): a number stays, times `kept`, where its
/// hash with `layer` is below `limit`. x and result [rows, width], each float32 or bfloat16, or both float64; width a
/// multiple of 8.
void drop_out(const at::Tensor& x, const at::Tensor& keys, int64_t layer, int64_t limit, double kept,
              const at::Tensor& result);

}  // namespace lriad::operators

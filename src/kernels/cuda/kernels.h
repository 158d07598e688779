#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

// The kernels by their raw arguments, all device memory, rows contiguous unless said otherwise; `stream` is a
// cudaStream_t. T: double, float or c10::BFloat16; sums are Wide<T>. src/kernels/cuda/operators.cpp checks shapes.
// Shape letters: B rows (sequences), G rows of a prompt, H query heads, K key heads, D head size, N tokens of a
// completion, P rows of a prompt, V vocabulary.
namespace lriad::kernels {

/// The type in which numbers stored as T are computed.
template <class T>
struct WideOf {
  using Type = float;
};
template <>
struct WideOf<double> {
  using Type = double;
};
template <class T>
using Wide = typename WideOf<T>::Type;

constexpr int kMostHeadSize = 128;         ///< of cached_attention
constexpr int kMostQueriesOfAKeyHead = 8;  ///< of cached_attention

/// Arguments of norm_rows.
template <class T>
struct NormRows {
  const T *x, *added;     ///< [rows, size]; added: null, or what x grows by first
  const T* weight;        ///< [size]
  T* sum;                 ///< [rows, size]: x + added; may be x; null without `added`
  T* result;              ///< [rows, size]
  Wide<T>* scale;         ///< [rows]: 1 / root mean square; may be null
  const Wide<T>* lora_a;  ///< [middle_size, size]
  Wide<T>* middle;        ///< [rows, middle_size]: result lora_a^T
  int rows, size, middle_size;
  double eps;
};

/// Arguments of norm_rows_backward.
template <class T>
struct NormRowsBackward {
  const T *gradient, *x, *weight;
  const Wide<T>* scale;
  T* x_gradient;
  int rows, size;
};

/// Arguments of finish_projections. Columns of queries, keys and values stand side by side: (H + 2 K) D.
template <class T>
struct FinishProjections {
  const T* projected;              ///< [B, columns]
  const Wide<T>* middle;           ///< [B, sum of ranks]: from norm_rows
  const Wide<T>* lora_b;           ///< of queries, keys and values one after another: [columns of the part, its rank]
  int ranks[3];                    ///< of queries, keys and values; 0: no branch
  const T *query_norm, *key_norm;  ///< [D]; null: no norm
  const T *cosines, *sines;        ///< [N, B, D]
  const int* num_sampled;          ///< [B]: tokens sampled so far; the newest one's keys and values are made here
  T* queries;                      ///< [B, H, D]
  T *keys, *values;                ///< [B, K, N, D]
  int rows, heads, key_heads, head_size, num_tokens;
  double eps;
};

/// Arguments of cached_attention.
template <class T>
struct CachedAttention {
  const T* queries;                      ///< [B, H, D]
  const T *prompt_keys, *prompt_values;  ///< [B / G, K, P, D]
  const T *keys, *values;                ///< [B, K, N, D]
  const int* prompt_lengths;             ///< [B / G]
  const int* num_sampled;                ///< [B]: own keys that are seen
  Wide<T>* partial;                      ///< [B, K, splits, H / K, D + 2]: scratch
  int* tickets;                          ///< [B, K]: zeros, and left as zeros
  T* result;                             ///< [B, H, D]
  int rows, rows_per_prompt, heads, key_heads, head_size, longest_prompt, num_tokens, splits;
  double scale;
};

/// Arguments of silu_times.
template <class T>
struct SiluTimes {
  const T *gate, *up;  ///< [rows, size], rows `stride` numbers apart
  T* result;           ///< [rows, size]
  int64_t rows, size, stride;
};

/// Arguments of silu_times_backward.
template <class T>
struct SiluTimesBackward {
  const T *gradient, *gate, *up;
  T *gate_gradient, *up_gradient;
  int64_t count;
};

/// Arguments of rotate.
template <class T>
struct Rotate {
  const T* x;                 ///< [rows, heads, D]
  const T *cosines, *sines;   ///< [rows, D]
  T* result;                  ///< [rows, heads, D]
  int64_t rows, heads, size;  ///< size: D
  bool back;                  ///< by the angles' negatives
};

/// Arguments of sample. Everything that a step changes lives in device memory, so that a captured graph needs no new
/// arguments.
template <class T>
struct Sample {
  const T* logits;                       ///< [B, V]
  const double* uniforms;                ///< [N, B]
  const int64_t *banned, *ends;          ///< ids
  int64_t* ids;                          ///< [B, N]
  int64_t* next_ids;                     ///< [B]
  double* trace;                         ///< [B, N, 5]: the fields of TokenTrace
  int *num_sampled, *ended, *num_ended;  ///< [B], [B], [1]
  int64_t answer_a, answer_b;
  int rows, vocabulary, num_tokens, num_banned, num_ends;
  double temperature;
};

/// Arguments of drop_out.
template <class In, class Out>
struct DropOut {
  const In* x;          ///< [rows, width]
  const int64_t* keys;  ///< [rows]: of the rows, below 2^32
  Out* result;          ///< [rows, width]
  int64_t rows, width;
  uint32_t layer, limit;  ///< as in model/dropout.cpp
  double kept;            ///< factor of the numbers that stay
};

/// result = weight * T(sum / rms(sum)), where sum = T(x + added): Qwen2RMSNorm with its two roundings, and on the same
/// read what goes into the low-rank branches of the projections that follow. size: a multiple of 8.
template <class T>
void norm_rows(const NormRows<T>& arguments, void* stream);
template <class T>
void norm_rows_backward(const NormRowsBackward<T>& arguments, void* stream);

/// Low-rank branches, the norm of each head, the rotation, and the write of the new keys and values to the cache, with
/// the roundings of the plain operators.
template <class T>
void finish_projections(const FinishProjections<T>& arguments, void* stream);

/// Attention of one query row a sequence over its prompt's keys, which the rows of a prompt share, and its own.
template <class T>
void cached_attention(const CachedAttention<T>& arguments, void* stream);

/// T(silu(gate)) * up.
template <class T>
void silu_times(const SiluTimes<T>& arguments, void* stream);
template <class T>
void silu_times_backward(const SiluTimesBackward<T>& arguments, void* stream);

/// x cos + turned(x) sin, where turned(x) has the second half of x, negative, before the first.
template <class T>
void rotate(const Rotate<T>& arguments, void* stream);

/// Samples the next token of each row as generation/sampler.h does with bans and temperature alone, by inverting the
/// cumulative distribution in the order of ids at the row's uniform number, and notes its trace.
template <class T>
void sample(const Sample<T>& arguments, void* stream);

/// x times the mask of model/dropout.h, which is made on the way.
template <class In, class Out>
void drop_out(const DropOut<In, Out>& arguments, void* stream);

}  // namespace lriad::kernels

#include "block.h"
#include "kernels.h"

// Attention of a decode step: one query a row over the keys of its prompt, which other rows share, and its own.
namespace lriad::kernels {
namespace {

constexpr int kAttentionThreads = 128;
constexpr int kLanes = 16;                           // that share a key, each with 8 of its numbers
constexpr int kGroups = kAttentionThreads / kLanes;  // each at another key

/// Softmax so far of one query: largest score, sum, weighted values.
template <class W>
struct Running {
  W top = -INFINITY, sum = 0, out[8] = {};
  template <class T>
  __device__ void add(W score, const Eight<T>& value) {
    const W higher = larger(top, score), keep = exponential(top - higher), weight = exponential(score - higher);
    top = higher;
    sum = sum * keep + weight;
    for (int i = 0; i < 8; ++i) out[i] = out[i] * keep + weight * static_cast<W>(value.at[i]);
  }
};

/// Puts parts of a softmax together: part p has D weighted sums, its largest score and its sum.
template <class W>
struct Combined {
  W top = -INFINITY, sum = 0, out = 0;
  /// `read` gives number i of part p. Column `column` of the result, if it is below `size`.
  template <class Read>
  __device__ Combined(int parts, int size, int column, const Read& read) {
    for (int p = 0; p < parts; ++p) top = larger(top, read(p, size));
    for (int p = 0; p < parts; ++p) {
      const W own = read(p, size);
      if (own == -INFINITY) continue;  // no keys
      const W share = exponential(own - top);
      sum += share * read(p, size + 1);
      if (column < size) out += share * read(p, column);
    }
  }
};

/// Keys and values of one row and key head: those of the prompt, then its own.
template <class T>
struct CacheReader {
  const Eight<T>*prompt_keys, *prompt_values, *keys, *values;
  int prompt_length, chunks;
  __device__ CacheReader(const CachedAttention<T>& s, int row, int head) {
    const int prompt = row / s.rows_per_prompt;
    const int64_t shared_begin = (static_cast<int64_t>(prompt) * s.key_heads + head) * s.longest_prompt * s.head_size;
    const int64_t own_begin = (static_cast<int64_t>(row) * s.key_heads + head) * s.num_tokens * s.head_size;
    prompt_keys = eights(s.prompt_keys + shared_begin);
    prompt_values = eights(s.prompt_values + shared_begin);
    keys = eights(s.keys + own_begin);
    values = eights(s.values + own_begin);
    prompt_length = s.prompt_lengths[prompt];
    chunks = s.head_size / 8;
  }
  __device__ Eight<T> key(int k, int chunk) const {
    return k < prompt_length ? prompt_keys[k * chunks + chunk] : keys[(k - prompt_length) * chunks + chunk];
  }
  __device__ Eight<T> value(int k, int chunk) const {
    return k < prompt_length ? prompt_values[k * chunks + chunk] : values[(k - prompt_length) * chunks + chunk];
  }
};

/// A block a row, key head and part of the keys. The last block of a row and head to end puts the parts together, in
/// their order, so that the bits do not depend on which block that is.
template <class T>
__global__ void __launch_bounds__(kAttentionThreads) cached_attention_kernel(const CachedAttention<T> s) {
  using W = Wide<T>;
  const int row = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int split = static_cast<int>(blockIdx.z), thread = static_cast<int>(threadIdx.x);
  const int queries = s.heads / s.key_heads, size = s.head_size, width = size + 2;
  const int chunk = thread % kLanes, group = thread / kLanes;
  const bool busy = chunk * 8 < size;
  W* const parts = shared_memory<W>();  // [kGroups, width]
  int* const is_last = reinterpret_cast<int*>(parts + kGroups * width);
  const Eight<T>* const mine = eights(s.queries + (static_cast<int64_t>(row) * s.heads + head * queries) * size);
  W q[kMostQueriesOfAKeyHead][8];
  Running<W> running[kMostQueriesOfAKeyHead];
#pragma unroll
  for (int n = 0; n < kMostQueriesOfAKeyHead; ++n) {
    for (int i = 0; i < 8; ++i) q[n][i] = 0;
    if (n >= queries || !busy) continue;
    const Eight<T> own = mine[n * (size / 8) + chunk];
    for (int i = 0; i < 8; ++i) q[n][i] = static_cast<W>(own.at[i]) * static_cast<W>(s.scale);
  }
  const CacheReader<T> cache(s, row, head);
  const int length = cache.prompt_length + s.num_sampled[row], each = (length + s.splits - 1) / s.splits;
  const int begin = split * each, end = begin + each < length ? begin + each : length;
  for (int first = begin; first < end; first += kGroups) {  // all lanes stay: the sums over lanes need them
    const int k = first + group < end ? first + group : end - 1;
    Eight<T> key{}, value{};
    if (busy) key = cache.key(k, chunk), value = cache.value(k, chunk);
#pragma unroll
    for (int n = 0; n < kMostQueriesOfAKeyHead; ++n) {
      if (n >= queries) break;
      W score = 0;
      for (int i = 0; i < 8; ++i) score += q[n][i] * static_cast<W>(key.at[i]);
      score = sum_of_lanes(score, kLanes);
      if (first + group < end) running[n].add(score, value);
    }
  }
  const int64_t cell = static_cast<int64_t>(row) * s.key_heads + head;
  W* const own_part = s.partial + (cell * s.splits + split) * queries * width;
#pragma unroll
  for (int n = 0; n < kMostQueriesOfAKeyHead; ++n) {
    if (n >= queries) break;
    __syncthreads();  // the parts may still be read
    for (int i = 0; busy && i < 8; ++i) parts[group * width + chunk * 8 + i] = running[n].out[i];
    if (chunk == 0) parts[group * width + size] = running[n].top, parts[group * width + size + 1] = running[n].sum;
    __syncthreads();
    const Combined<W> all(kGroups, size, thread, [&](int p, int i) { return parts[p * width + i]; });
    if (thread < size) own_part[n * width + thread] = all.out;
    if (thread == 0) own_part[n * width + size] = all.top, own_part[n * width + size + 1] = all.sum;
  }
  __threadfence();
  __syncthreads();
  if (thread == 0) *is_last = atomicAdd(s.tickets + cell, 1) == s.splits - 1;
  __syncthreads();
  if (*is_last == 0) return;
  __threadfence();
  const W* const all_parts = s.partial + cell * s.splits * queries * width;
  for (int n = 0; n < queries; ++n) {
    const Combined<W> all(s.splits, size, thread,
                          [&](int p, int i) { return __ldcg(all_parts + (p * queries + n) * width + i); });
    if (thread >= size) continue;
    s.result[(static_cast<int64_t>(row) * s.heads + head * queries + n) * size + thread] =
        static_cast<T>(all.out / all.sum);
  }
  if (thread == 0) s.tickets[cell] = 0;
}

}  // namespace

template <class T>
void cached_attention(const CachedAttention<T>& s, void* stream) {
  const dim3 grid{static_cast<unsigned>(s.rows), static_cast<unsigned>(s.key_heads), static_cast<unsigned>(s.splits)};
  launch(cached_attention_kernel<T>, grid, kAttentionThreads, bytes<Wide<T>>(kGroups * (s.head_size + 2) + 1), stream,
         s);
}

template void cached_attention<double>(const CachedAttention<double>&, void*);
template void cached_attention<float>(const CachedAttention<float>&, void*);
template void cached_attention<c10::BFloat16>(const CachedAttention<c10::BFloat16>&, void*);

}  // namespace lriad::kernels

#include "block.h"
#include "kernels.h"

// What stands between the matrix products of a layer, but attention. A product reads all weights and takes nearly all
// of the time; each of these takes the place of 2 to 20 launches of plain operators, which would leave the device idle.
namespace lriad::kernels {
namespace {

/// A block a row.
template <class T>
__global__ void __launch_bounds__(256) norm_rows_kernel(const NormRows<T> s) {
  using W = Wide<T>;
  W* const room = shared_memory<W>();
  const int chunks = s.size / 8, threads = static_cast<int>(blockDim.x);
  const int64_t row = blockIdx.x, first = row * chunks;
  const T* const x = s.added == nullptr ? s.x : s.sum;
  W squares = 0;
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += threads) {
    Eight<T> own = eights(s.x)[first + c];
    if (s.added != nullptr) {
      const Eight<T> more = eights(s.added)[first + c];
      for (int i = 0; i < 8; ++i) own.at[i] = static_cast<T>(static_cast<W>(own.at[i]) + static_cast<W>(more.at[i]));
      eights(s.sum)[first + c] = own;
    }
    for (int i = 0; i < 8; ++i) squares += static_cast<W>(own.at[i]) * static_cast<W>(own.at[i]);
  }
  const W mean = sum_of_block(squares, room) / static_cast<W>(s.size);
  const W scale = rsqrt(mean + static_cast<W>(s.eps));
  if (s.scale != nullptr && threadIdx.x == 0) s.scale[row] = scale;
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += threads) {
    Eight<T> own = eights(x)[first + c];
    const Eight<T> weight = eights(s.weight)[c];
    for (int i = 0; i < 8; ++i) {
      const W normal = rounded<T>(static_cast<W>(own.at[i]) * scale);
      own.at[i] = static_cast<T>(static_cast<W>(weight.at[i]) * normal);
    }
    eights(s.result)[first + c] = own;
  }
  if (s.middle_size == 0) return;
  __syncthreads();  // the row was written by all threads
  const T* const result = s.result + row * s.size;
  for (int j = warp(); j < s.middle_size; j += num_warps()) {
    const W* const a = s.lora_a + static_cast<int64_t>(j) * s.size;
    W dot = 0;
    for (int i = lane(); i < s.size; i += 32) dot += static_cast<W>(result[i]) * a[i];
    dot = sum_of_lanes(dot);
    if (lane() == 0) s.middle[row * s.middle_size + j] = dot;
  }
}

/// A block a row. With y = x scale: x' = scale (g w - y mean(g w y)).
template <class T>
__global__ void __launch_bounds__(256) norm_rows_backward_kernel(const NormRowsBackward<T> s) {
  using W = Wide<T>;
  W* const room = shared_memory<W>();
  const int chunks = s.size / 8, threads = static_cast<int>(blockDim.x);
  const int64_t row = blockIdx.x, first = row * chunks;
  const W scale = s.scale[row];
  W along = 0;
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += threads) {
    const Eight<T> gradient = eights(s.gradient)[first + c], x = eights(s.x)[first + c], weight = eights(s.weight)[c];
    for (int i = 0; i < 8; ++i) {
      const W inner = rounded<T>(static_cast<W>(gradient.at[i]) * static_cast<W>(weight.at[i]));
      along += inner * static_cast<W>(x.at[i]);
    }
  }
  const W slope = scale * scale * scale * (sum_of_block(along, room) / static_cast<W>(s.size));
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += threads) {
    const Eight<T> gradient = eights(s.gradient)[first + c], x = eights(s.x)[first + c], weight = eights(s.weight)[c];
    Eight<T> out;
    for (int i = 0; i < 8; ++i) {
      const W inner = rounded<T>(static_cast<W>(gradient.at[i]) * static_cast<W>(weight.at[i]));
      out.at[i] = static_cast<T>(inner * scale - static_cast<W>(x.at[i]) * slope);
    }
    eights(s.x_gradient)[first + c] = out;
  }
}

/// A block a row and head, a thread the two numbers that rotate together.
template <class T>
__global__ void __launch_bounds__(64) finish_projections_kernel(const FinishProjections<T> s) {
  using W = Wide<T>;
  W* const room = shared_memory<W>();
  const int row = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y),
            low = static_cast<int>(threadIdx.x);
  const int half = s.head_size / 2, part = head < s.heads ? 0 : head < s.heads + s.key_heads ? 1 : 2;
  const int first_head = part == 0 ? 0 : part == 1 ? s.heads : s.heads + s.key_heads;
  const int rank = s.ranks[part], rank_before = part == 0 ? 0 : part == 1 ? s.ranks[0] : s.ranks[0] + s.ranks[1];
  const int64_t key_columns = static_cast<int64_t>(s.key_heads) * s.head_size;
  const int64_t columns = static_cast<int64_t>(s.heads) * s.head_size + 2 * key_columns;
  const W* b = s.lora_b;
  if (part > 0) b += static_cast<int64_t>(s.heads) * s.head_size * s.ranks[0];
  if (part > 1) b += key_columns * s.ranks[1];
  const W* const middle = s.middle + static_cast<int64_t>(row) * (s.ranks[0] + s.ranks[1] + s.ranks[2]) + rank_before;
  const bool busy = low < half;
  W x[2] = {0, 0};
  for (int k = 0; busy && k < 2; ++k) {
    const int column = head * s.head_size + low + k * half;
    x[k] = static_cast<W>(s.projected[row * columns + column]);
    if (rank == 0) continue;
    const W* const own = b + static_cast<int64_t>(column - first_head * s.head_size) * rank;
    W branch = 0;
    for (int i = 0; i < rank; ++i) branch += middle[i] * own[i];
    x[k] = rounded<T>(x[k] + branch);
  }
  const T* const norm = part == 0 ? s.query_norm : part == 1 ? s.key_norm : nullptr;
  if (norm != nullptr) {
    const W mean = sum_of_block(x[0] * x[0] + x[1] * x[1], room) / static_cast<W>(s.head_size);
    const W scale = rsqrt(mean + static_cast<W>(s.eps));
    for (int k = 0; busy && k < 2; ++k)
      x[k] = rounded<T>(static_cast<W>(norm[low + k * half]) * rounded<T>(x[k] * scale));
  }
  if (!busy) return;
  const int token_index = s.num_sampled[row] - 1;
  if (part < 2) {
    const int64_t angle = (static_cast<int64_t>(token_index) * s.rows + row) * s.head_size + low;
    const W first = x[0];
    x[0] = rounded<T>(x[0] * static_cast<W>(s.cosines[angle])) + rounded<T>(-x[1] * static_cast<W>(s.sines[angle]));
    x[1] = rounded<T>(x[1] * static_cast<W>(s.cosines[angle + half])) +
           rounded<T>(first * static_cast<W>(s.sines[angle + half]));
  }
  T* out = s.queries + (static_cast<int64_t>(row) * s.heads + head) * s.head_size;
  if (part > 0) {
    const int64_t cell = static_cast<int64_t>(row) * s.key_heads + head - first_head;
    out = (part == 1 ? s.keys : s.values) + (cell * s.num_tokens + token_index) * s.head_size;
  }
  out[low] = static_cast<T>(x[0]);
  out[low + half] = static_cast<T>(x[1]);
}

template <class W>
__device__ W sigmoid(W x) {
  return 1 / (1 + exponential(-x));
}

constexpr int kFlatThreads = 256;

/// A thread eight numbers.
template <class T>
__global__ void __launch_bounds__(kFlatThreads) silu_times_kernel(const SiluTimes<T> s) {
  using W = Wide<T>;
  const int64_t chunks = s.size / 8, n = static_cast<int64_t>(blockIdx.x) * kFlatThreads + threadIdx.x;
  if (n >= s.rows * chunks) return;
  const int64_t row = n / chunks, chunk = n % chunks;
  const Eight<T> gate = eights(s.gate + row * s.stride)[chunk], up = eights(s.up + row * s.stride)[chunk];
  Eight<T> out;
  for (int i = 0; i < 8; ++i) {
    const W x = static_cast<W>(gate.at[i]);
    out.at[i] = static_cast<T>(rounded<T>(x * sigmoid(x)) * static_cast<W>(up.at[i]));
  }
  eights(s.result)[n] = out;
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads) silu_times_backward_kernel(const SiluTimesBackward<T> s) {
  using W = Wide<T>;
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kFlatThreads + threadIdx.x;
  if (n >= s.count / 8) return;
  const Eight<T> gradient = eights(s.gradient)[n], gate = eights(s.gate)[n], up = eights(s.up)[n];
  Eight<T> of_gate, of_up;
  for (int i = 0; i < 8; ++i) {
    const W x = static_cast<W>(gate.at[i]), g = static_cast<W>(gradient.at[i]), p = sigmoid(x);
    of_gate.at[i] = static_cast<T>(rounded<T>(g * static_cast<W>(up.at[i])) * (p * (1 + x * (1 - p))));
    of_up.at[i] = static_cast<T>(rounded<T>(x * p) * g);
  }
  eights(s.gate_gradient)[n] = of_gate;
  eights(s.up_gradient)[n] = of_up;
}

/// A thread the two numbers that rotate together.
template <class T>
__global__ void __launch_bounds__(kFlatThreads) rotate_kernel(const Rotate<T> s) {
  using W = Wide<T>;
  const int64_t half = s.size / 2, n = static_cast<int64_t>(blockIdx.x) * kFlatThreads + threadIdx.x;
  if (n >= s.rows * s.heads * half) return;
  const int64_t head = n / half, low = n % half, at = head * s.size + low, angle = head / s.heads * s.size + low;
  const W first = static_cast<W>(s.x[at]), second = static_cast<W>(s.x[at + half]), sign = s.back ? W{-1} : W{1};
  const W low_sine = sign * static_cast<W>(s.sines[angle]), high_sine = sign * static_cast<W>(s.sines[angle + half]);
  s.result[at] = static_cast<T>(rounded<T>(first * static_cast<W>(s.cosines[angle])) + rounded<T>(-second * low_sine));
  s.result[at + half] =
      static_cast<T>(rounded<T>(second * static_cast<W>(s.cosines[angle + half])) + rounded<T>(first * high_sine));
}

dim3 blocks_of(int64_t chunks) { return {static_cast<unsigned>((chunks + kFlatThreads - 1) / kFlatThreads), 1, 1}; }

}  // namespace

template <class T>
void norm_rows(const NormRows<T>& s, void* stream) {
  const unsigned threads = threads_for(s.size / 8, 256);
  launch(norm_rows_kernel<T>, {static_cast<unsigned>(s.rows), 1, 1}, threads, bytes<Wide<T>>(32), stream, s);
}

template <class T>
void norm_rows_backward(const NormRowsBackward<T>& s, void* stream) {
  const unsigned threads = threads_for(s.size / 8, 256);
  launch(norm_rows_backward_kernel<T>, {static_cast<unsigned>(s.rows), 1, 1}, threads, bytes<Wide<T>>(32), stream, s);
}

template <class T>
void finish_projections(const FinishProjections<T>& s, void* stream) {
  const dim3 grid{static_cast<unsigned>(s.rows), static_cast<unsigned>(s.heads + 2 * s.key_heads), 1};
  launch(finish_projections_kernel<T>, grid, threads_for(s.head_size / 2, 64), bytes<Wide<T>>(32), stream, s);
}

template <class T>
void silu_times(const SiluTimes<T>& s, void* stream) {
  launch(silu_times_kernel<T>, blocks_of(s.rows * s.size / 8), kFlatThreads, 0, stream, s);
}

template <class T>
void silu_times_backward(const SiluTimesBackward<T>& s, void* stream) {
  launch(silu_times_backward_kernel<T>, blocks_of(s.count / 8), kFlatThreads, 0, stream, s);
}

template <class T>
void rotate(const Rotate<T>& s, void* stream) {
  launch(rotate_kernel<T>, blocks_of(s.rows * s.heads * s.size / 2), kFlatThreads, 0, stream, s);
}

#define LRIAD_FOR_TYPE(T)                                                   \
  template void norm_rows<T>(const NormRows<T>&, void*);                    \
  template void norm_rows_backward<T>(const NormRowsBackward<T>&, void*);   \
  template void finish_projections<T>(const FinishProjections<T>&, void*);  \
  template void silu_times<T>(const SiluTimes<T>&, void*);                  \
  template void silu_times_backward<T>(const SiluTimesBackward<T>&, void*); \
  template void rotate<T>(const Rotate<T>&, void*);
LRIAD_FOR_TYPE(double)
LRIAD_FOR_TYPE(float)
LRIAD_FOR_TYPE(c10::BFloat16)
#undef LRIAD_FOR_TYPE

}  // namespace lriad::kernels

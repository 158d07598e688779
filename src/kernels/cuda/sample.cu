#include "block.h"
#include "kernels.h"

// One kernel in the place of some 40 operators over [B, V] float64 numbers.
namespace lriad::kernels {
namespace {

constexpr int kMostSampleThreads = 1024;

template <class T>
__device__ bool is_banned(const Sample<T>& s, int id) {
  for (int k = 0; k < s.num_banned; ++k) {
    if (s.banned[k] == id) return true;
  }
  return false;
}

/// The ids that a warp goes through, in their order.
struct WarpIds {
  int begin, end;
  __device__ explicit WarpIds(int vocabulary) {
    const int each = (vocabulary + num_warps() - 1) / num_warps();
    begin = warp() * each < vocabulary ? warp() * each : vocabulary;
    end = begin + each < vocabulary ? begin + each : vocabulary;
  }
};

__device__ inline int smallest_of_lanes(int value) {
  for (int mask = 16; mask > 0; mask /= 2) {
    const int other = __shfl_xor_sync(~0u, value, mask);
    value = other < value ? other : value;
  }
  return value;
}

/// A block a row.
template <class T>
class RowSampler {
  using W = Wide<T>;

 public:
  __device__ RowSampler(const Sample<T>& given, int row)
      : s(given),
        logits(given.logits + static_cast<int64_t>(row) * given.vocabulary),
        uniforms(given.uniforms + row),
        ids(given.vocabulary),
        room(shared_memory<double>()),
        chosen(reinterpret_cast<int*>(room + 32)),
        divisor(given.temperature > 0 ? static_cast<W>(given.temperature) : W{1}) {}

  /// Largest logits and sums of all ids, and of those that can be sampled after the temperature.
  __device__ void add_up() {
    W highest = -INFINITY, drawable = -INFINITY;
    for (int id = ids.begin + lane(); id < ids.end; id += 32) {
      const W x = static_cast<W>(logits[id]);
      highest = larger(highest, x);
      if (x > drawable && !is_banned(s, id)) drawable = x;
    }
    auto* const wide_room = reinterpret_cast<W*>(room);
    highest = largest_of_block(highest, wide_room);
    drawable = largest_of_block(drawable, wide_room);
    top_logit = drawable;
    top = drawable / divisor;
    double all = 0, own = 0;
    for (int id = ids.begin + lane(); id < ids.end; id += 32) {
      all += static_cast<double>(exponential(static_cast<W>(logits[id]) - highest));
      own += static_cast<double>(weight(id));
    }
    log_sum = static_cast<double>(highest) + log(sum_of_block(all, room));
    share(sum_of_lanes(own), room);  // kept there: the sums of the warps
    total = 0;
    for (int w = 0; w < num_warps(); ++w) total += room[w];
  }

  /// The lowest id of the largest score, or the first id at which the running sum is above the uniform number's share.
  __device__ int choose(int token_index) {
    if (threadIdx.x == 0) *chosen = s.vocabulary;
    __syncthreads();
    int own = s.vocabulary;
    if (s.temperature == 0) {
      for (int id = ids.begin + lane(); id < ids.end; id += 32) {
        if (own == s.vocabulary && static_cast<W>(logits[id]) == top_logit && !is_banned(s, id)) own = id;
      }
      own = smallest_of_lanes(own);
    } else {
      const double uniform = uniforms[static_cast<int64_t>(token_index) * s.rows];
      // Rounding must not lift the target to the total.
      const double target = uniform * total < total * (1 - 0x1p-52) ? uniform * total : total * (1 - 0x1p-52);
      double before = 0;
      for (int w = 0; w < warp(); ++w) before += room[w];
      if (before <= target && target < before + room[warp()]) own = first_above(before, target);
    }
    if (lane() == 0 && own < s.vocabulary) atomicMin(chosen, own);
    __syncthreads();
    // A row with a NaN gives the last id, so that the run goes on to the health guard.
    return *chosen < s.vocabulary ? *chosen : s.vocabulary - 1;
  }

  __device__ double score(int id) const { return static_cast<double>(static_cast<W>(logits[id]) / divisor - top); }
  __device__ double logit(int64_t id) const { return static_cast<double>(logits[id]); }

  double log_sum = 0, total = 0;

 private:
  /// Not normalised probability in the sampler's distribution.
  __device__ W weight(int id) const {
    return is_banned(s, id) ? W{0} : exponential(static_cast<W>(logits[id]) / divisor - top);
  }

  /// By one warp, which owns the ids around the target.
  __device__ int first_above(double before, double target) {
    int last = s.vocabulary;  // that can be sampled, should rounding leave the target unreached
    for (int begin = ids.begin; begin < ids.end; begin += 32) {
      const int id = begin + lane();
      const double own = id < ids.end ? static_cast<double>(weight(id)) : 0;
      double sum = own;
      for (unsigned by = 1; by < 32; by *= 2) {
        const double other = __shfl_up_sync(~0u, sum, by);
        if (lane() >= static_cast<int>(by)) sum += other;
      }
      const int found = smallest_of_lanes(own > 0 && before + sum > target ? id : s.vocabulary);
      if (found < s.vocabulary) return found;
      const int lowest = -smallest_of_lanes(own > 0 ? -id : 1);
      if (lowest >= 0) last = lowest;
      before += __shfl_sync(~0u, sum, 31);
    }
    return last;
  }

  const Sample<T>& s;
  const T* logits;
  const double* uniforms;
  WarpIds ids;
  double* room;
  int* chosen;
  W divisor, top = 0, top_logit = 0;
};

template <class T>
__global__ void __launch_bounds__(kMostSampleThreads) sample_kernel(const Sample<T> s) {
  const int row = static_cast<int>(blockIdx.x), token_index = s.num_sampled[row];
  RowSampler<T> sampler(s, row);
  sampler.add_up();
  const int id = sampler.choose(token_index);
  if (threadIdx.x != 0) return;
  const int64_t cell = static_cast<int64_t>(row) * s.num_tokens + token_index;
  s.ids[cell] = id;
  s.next_ids[row] = id;
  double* const trace = s.trace + 5 * cell;
  trace[0] = sampler.score(id) - log(sampler.total);
  trace[1] = sampler.logit(id) - sampler.log_sum;
  trace[2] = sampler.logit(s.answer_a);
  trace[3] = sampler.logit(s.answer_b);
  trace[4] = sampler.log_sum;
  for (int k = 0; k < s.num_ends; ++k) {
    if (s.ends[k] != id || s.ended[row] != 0) continue;
    s.ended[row] = 1;
    atomicAdd(s.num_ended, 1);
  }
  s.num_sampled[row] = token_index + 1;
}

}  // namespace

template <class T>
void sample(const Sample<T>& s, void* stream) {
  const unsigned threads = threads_for(s.vocabulary / 16, kMostSampleThreads);
  launch(sample_kernel<T>, {static_cast<unsigned>(s.rows), 1, 1}, threads, 33 * sizeof(double), stream, s);
}

template void sample<double>(const Sample<double>&, void*);
template void sample<float>(const Sample<float>&, void*);
template void sample<c10::BFloat16>(const Sample<c10::BFloat16>&, void*);

}  // namespace lriad::kernels

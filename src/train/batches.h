#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// A prompt of a step, prepared.
struct BatchPrompt {
  int64_t prompt_index = 0;  ///< in the step's batch over all ranks
  int64_t epoch = 0;
  PreparedSample sample;
};

/// The rank of each prompt of a batch: the costliest prompt first, each to the rank with least to do so far that is not
/// full. Every rank gets the same number, one more or less; a pure function, so that all ranks assign alike.
std::vector<int64_t> assign_prompts(const std::vector<int64_t>& costs, int64_t num_ranks);

/// Deals the data set out: batch b of a run is the same list of samples for any number of ranks, which share its
/// prompts by assign_prompts(). Images are prepared ahead on worker threads.
class Batches {
 public:
  Batches(const RunInputs& inputs, int64_t rank, int64_t num_ranks);
  /// floor(samples / batch size), at least 1.
  int64_t per_epoch() const { return per_epoch_; }
  /// This rank's prompts of batch `number` (0-based over the whole run), in order. Samples with a bad image are left
  /// out with a warning, or throw Error (data.bad_image: fail). Batches are asked for in ascending order.
  std::vector<BatchPrompt> take(int64_t number);

 private:
  struct Slot {
    int64_t prompt_index, index, epoch;
  };
  std::vector<Slot> slots_of(int64_t number);
  void request_until(int64_t number);

  const Dataset& dataset_;
  std::vector<int64_t> costs_;  ///< of each sample: rows that the model computes for it
  SamplerKind sampler_;
  BadImage bad_image_;
  uint64_t seed_;
  int64_t rank_, num_ranks_, batch_size_, per_epoch_;
  std::optional<int64_t> order_epoch_;
  std::vector<int64_t> order_;
  std::optional<int64_t> requested_;  ///< last batch asked of the prefetcher
  Prefetcher prefetcher_;
};

}  // namespace lriad

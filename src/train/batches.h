#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "batch_order.h"
#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// A prompt of a step with its prepared image.
struct BatchPrompt {
  int64_t prompt_index = 0;  ///< number of the prompt in the step's batch over all ranks
  int64_t epoch = 0;
  PreparedSample sample;
  at::Tensor features_ID;  ///< what a frozen vision tower makes of the image, once take_features() was called
};

/// Sets features_ID of all prompts.
void take_features(FeatureCache& cache, std::vector<BatchPrompt>& prompts);

/// Assigns each prompt of a batch to a rank: the costliest first, each to the rank with the lowest cost so far that is
/// not full. The numbers of prompts per rank differ by at most one. All ranks compute the same assignment.
std::vector<int64_t> assign_prompts(const std::vector<int64_t>& costs, int64_t num_ranks);

/// Gives each rank its prompts of each batch. Batch b of a run is the same list of samples for any number of ranks that
/// have as many prompts together; assign_prompts() divides it among them. Images are prepared ahead on worker threads.
class Batches {
 public:
  Batches(const RunInputs& inputs, int64_t rank, int64_t num_ranks);
  const BatchOrder& order() const { return order_of_batches_; }
  /// Saves and restores which batch was taken last. With another batch size the order of samples goes on behind it.
  void save(std::map<std::string, int64_t>& cursor) const;
  void restore(const std::map<std::string, int64_t>& cursor);
  /// This rank's prompts of batch `number` (0-based over the whole run), in order. A sample with an unreadable image is
  /// left out with a warning, or throws Error with data.bad_image: fail. Batches must be taken in ascending order.
  std::vector<BatchPrompt> take(int64_t number);

 private:
  struct Slot {
    int64_t prompt_index, index, epoch;
  };
  std::vector<Slot> slots_of(int64_t number);
  void request_until(int64_t number);

  const Dataset& dataset_;
  std::vector<int64_t> costs_;  ///< estimated rows of each sample in the model
  SamplerKind sampler_;
  BadImage bad_image_;
  uint64_t seed_;
  int64_t rank_, num_ranks_;
  BatchOrder order_of_batches_;
  BatchPlace taken_;  ///< the last batch
  std::optional<int64_t> order_epoch_;
  std::vector<int64_t> order_;
  std::optional<int64_t> requested_;  ///< last batch requested from the prefetcher
  Prefetcher prefetcher_;
};

}  // namespace lriad

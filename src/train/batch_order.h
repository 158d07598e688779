#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace lriad {

/// A batch within the order of all samples.
struct BatchPlace {
  int64_t number = -1;  ///< of the batch in the run, from 0; -1: before the first
  int64_t epoch = 0;
  int64_t first = 0;  ///< position of its first sample in the epoch's order
  int64_t size = 0;
  int64_t end = 0;  ///< samples of the epoch's order that are used; those after them fill no batch
  bool operator==(const BatchPlace&) const = default;
};

/// Cuts the order of the samples into batches: epoch after epoch, each as many whole batches as its samples fill. After
/// a batch of another size (a run that goes on with another number of ranks) the order goes on behind its last sample;
/// what is left of that epoch may then end in a smaller batch, so that no sample is left out or comes again.
class BatchOrder {
 public:
  BatchOrder(int64_t samples, int64_t batch_size)
      : samples_(samples), size_(batch_size), per_epoch_(samples / batch_size) {}

  /// The batch of this number, not before the one that the order goes on after.
  BatchPlace place(int64_t number) const;
  /// Throws Error if the samples are too few for `last`.
  void go_on_after(const BatchPlace& last);
  int64_t batch_size() const { return size_; }
  int64_t per_epoch() const { return per_epoch_; }  ///< whole batches of an epoch
  /// Epochs that are done after so many optimizer steps, each batch used in `steps_per_batch` of them.
  double epochs(int64_t steps, int64_t steps_per_batch) const;
  /// Optimizer steps of the run until so many epochs are done.
  int64_t steps(double epochs, int64_t steps_per_batch) const;

 private:
  bool is_regular() const { return last_.number < 0; }
  int64_t rest() const;  ///< batches left in the epoch of last_

  int64_t samples_, size_, per_epoch_;
  BatchPlace last_;  ///< with number -1 if all batches are of the same size
};

/// The place as a checkpoint's counters.
void save_place(const BatchPlace& place, std::map<std::string, int64_t>& cursor);
/// Reads it back; number -1 if the checkpoint has none. Throws Error if a counter is missing.
BatchPlace saved_place(const std::map<std::string, int64_t>& cursor);

}  // namespace lriad

#include "batches.h"

#include <algorithm>
#include <thread>

#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {
namespace {

constexpr int64_t kBatchesAhead = 2;

int64_t num_threads() { return std::clamp<int64_t>(std::thread::hardware_concurrency() / 2, 1, 4); }

int64_t prompts_per_rank(const TrainSection& train) {
  return train.per_device_train_batch_size * train.gradient_accumulation_steps;
}

}  // namespace

Batches::Batches(const Dataset& dataset, const SamplePreparer& preparer, const Config& config, int64_t rank,
                 int64_t num_ranks)
    : dataset_(dataset),
      sampler_(config.data.sampler),
      bad_image_(config.data.bad_image),
      seed_(config.seed),
      rank_(rank),
      num_ranks_(num_ranks),
      batch_size_(std::min(prompts_per_rank(config.train) * num_ranks, static_cast<int64_t>(dataset.samples.size()))),
      per_epoch_(static_cast<int64_t>(dataset.samples.size()) / batch_size_),
      prefetcher_(dataset, preparer, num_threads(), 2 * prompts_per_rank(config.train) + 4) {}

std::vector<Batches::Place> Batches::places_of(int64_t number) {
  const int64_t epoch = number / per_epoch_, first = number % per_epoch_ * batch_size_;
  if (order_epoch_ != epoch) {
    order_ = epoch_order(dataset_, sampler_, seed_, epoch);
    order_epoch_ = epoch;
  }
  std::vector<Place> places;
  for (int64_t place = rank_; place < batch_size_; place += num_ranks_) {
    places.push_back({place, order_.at(static_cast<std::size_t>(first + place)), epoch});
  }
  return places;
}

void Batches::request_until(int64_t number) {
  for (int64_t next = requested_ ? *requested_ + 1 : number; next <= number; ++next) {
    for (const Place& place : places_of(next)) prefetcher_.request(place.index);
    requested_ = next;
  }
}

std::vector<BatchPrompt> Batches::take(int64_t number) {
  if (!requested_) request_until(number);
  request_until(number + kBatchesAhead);
  std::vector<BatchPrompt> prompts;
  for (const Place& place : places_of(number)) {
    Prefetcher::Result result = prefetcher_.next();
    if (result.fault == Fault::kPrompt || (result.fault == Fault::kImage && bad_image_ == BadImage::kFail)) {
      throw Error(result.error);
    }
    if (result.fault == Fault::kImage) {
      log_warning(
          concat("[data] skipped ", dataset_.samples[static_cast<std::size_t>(place.index)].image, ": ", result.error));
      continue;
    }
    prompts.push_back({place.place, place.epoch, std::move(result.sample)});
  }
  return prompts;
}

}  // namespace lriad

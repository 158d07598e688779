#include "batches.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <thread>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/model/image_features.h"

namespace lriad {
namespace {

constexpr int64_t kBatchesAhead = 2;

int64_t num_threads() { return std::clamp<int64_t>(std::thread::hardware_concurrency() / 2, 1, 4); }

/// Estimated rows of each sample: its prompt and its completions. The completions' lengths are not known yet, so half
/// of the allowed length is assumed. A target text of stage sft is assumed to have a token per four bytes.
std::vector<int64_t> predicted_costs(const RunInputs& inputs) {
  std::vector<int64_t> costs = inputs.prompt_tokens;
  const Config& config = inputs.config;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    if (config.stage == Stage::kGrpo) {
      costs[i] += config.rollout.num_generations * config.rollout.max_completion_length / 2;
    } else {
      costs[i] += std::ssize(inputs.data.samples[i].response) / 4;
    }
  }
  return costs;
}

int64_t prompts_per_rank(const TrainSection& train) {
  return train.per_device_train_batch_size * train.gradient_accumulation_steps;
}

}  // namespace

void take_features(FeatureCache& cache, std::vector<BatchPrompt>& prompts) {
  std::vector<const Patches*> images;
  for (const BatchPrompt& prompt : prompts) std::ranges::copy(prompt.sample.images(), std::back_inserter(images));
  const std::vector<at::Tensor> features = cache.features(images);
  auto next = features.begin();
  for (BatchPrompt& prompt : prompts) {
    const auto end = next + std::ssize(prompt.sample.images());
    prompt.features_ID = joined({next, end});
    next = end;
  }
}

std::vector<int64_t> assign_prompts(const std::vector<int64_t>& costs, int64_t num_ranks) {
  std::vector<std::size_t> prompt_indices(costs.size());
  std::iota(prompt_indices.begin(), prompt_indices.end(), std::size_t{0});
  std::ranges::stable_sort(prompt_indices, std::greater(),
                           [&](std::size_t prompt_index) { return costs[prompt_index]; });
  const auto count = static_cast<int64_t>(costs.size());
  struct Load {
    int64_t cost = 0, prompts = 0;
  };
  std::vector<Load> loads(static_cast<std::size_t>(num_ranks));
  int64_t roomy = count % num_ranks;  // ranks that may still get one prompt more than the others
  std::vector<int64_t> ranks(costs.size());
  for (const std::size_t prompt_index : prompt_indices) {
    Load* least = nullptr;
    for (Load& load : loads) {
      const bool full = load.prompts > count / num_ranks || (load.prompts == count / num_ranks && roomy == 0);
      if (!full && (least == nullptr || load.cost < least->cost)) least = &load;
    }
    if (least->prompts == count / num_ranks) --roomy;
    least->cost += costs[prompt_index];
    ++least->prompts;
    ranks[prompt_index] = least - loads.data();
  }
  return ranks;
}

Batches::Batches(const RunInputs& inputs, int64_t rank, int64_t num_ranks)
    : dataset_(inputs.data),
      costs_(predicted_costs(inputs)),
      sampler_(inputs.config.data.sampler),
      bad_image_(inputs.config.data.bad_image),
      seed_(inputs.config.seed),
      rank_(rank),
      num_ranks_(num_ranks),
      order_of_batches_(std::ssize(dataset_.samples),
                        std::min(prompts_per_rank(inputs.config.train) * num_ranks, std::ssize(dataset_.samples))),
      prefetcher_(dataset_, inputs.preparer, num_threads(), 2 * prompts_per_rank(inputs.config.train) + 4) {}

std::vector<Batches::Slot> Batches::slots_of(int64_t number) {
  const BatchPlace place = order_of_batches_.place(number);
  if (order_epoch_ != place.epoch) {
    order_ = epoch_order(dataset_, sampler_, seed_, place.epoch);
    order_epoch_ = place.epoch;
  }
  const std::span<const int64_t> batch(order_.data() + place.first, static_cast<std::size_t>(place.size));
  std::vector<int64_t> costs;
  for (const int64_t index : batch) costs.push_back(costs_[static_cast<std::size_t>(index)]);
  const std::vector<int64_t> ranks = assign_prompts(costs, num_ranks_);
  std::vector<Slot> slots;
  for (std::size_t prompt_index = 0; prompt_index < ranks.size(); ++prompt_index) {
    if (ranks[prompt_index] == rank_)
      slots.push_back({static_cast<int64_t>(prompt_index), batch[prompt_index], place.epoch});
  }
  return slots;
}

void Batches::request_until(int64_t number) {
  for (int64_t next = requested_ ? *requested_ + 1 : number; next <= number; ++next) {
    for (const Slot& slot : slots_of(next)) prefetcher_.request(slot.index, slot.epoch);
    requested_ = next;
  }
}

std::vector<BatchPrompt> Batches::take(int64_t number) {
  if (!requested_) request_until(number);
  request_until(number + kBatchesAhead);
  taken_ = order_of_batches_.place(number);
  std::vector<BatchPrompt> prompts;
  for (const Slot& slot : slots_of(number)) {
    PrepareResult result = prefetcher_.next();
    if (result.fault == Fault::kPrompt || (result.fault == Fault::kImage && bad_image_ == BadImage::kFail)) {
      throw Error(result.error);
    }
    if (result.fault == Fault::kImage) {
      log_warning(
          concat("[data] skipped ", dataset_.samples[static_cast<std::size_t>(slot.index)].image, ": ", result.error));
      continue;
    }
    prompts.push_back({slot.prompt_index, slot.epoch, std::move(result.sample), {}});
  }
  return prompts;
}

void Batches::save(std::map<std::string, int64_t>& cursor) const {
  if (taken_.number >= 0) save_place(taken_, cursor);
}

void Batches::restore(const std::map<std::string, int64_t>& cursor) {
  const BatchPlace last = saved_place(cursor);
  if (last.number < 0) return;  // before the first batch, or written by an older version
  order_of_batches_.go_on_after(last);
  taken_ = last;
  if (last.size == order_of_batches_.batch_size()) return;
  log_warning(concat(
      "[train] the last batch before the checkpoint was of ", last.size, " samples, now ",
      order_of_batches_.batch_size(),
      " make a batch (ranks, train.per_device_train_batch_size, train.gradient_accumulation_steps): the order of ",
      "samples goes on after sample ", last.first + last.size, " of epoch ", last.epoch + 1));
}

}  // namespace lriad

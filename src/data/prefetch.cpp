#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/data/prepare.h"

namespace lriad {
namespace {

struct Slot {
  int64_t index = 0, epoch = 0;
  bool done = false;
  PrepareResult result;
  std::exception_ptr bug;
};

}  // namespace

/// Slots of all requests not fetched yet, the oldest first; the first `started` of them are done or in work.
struct Prefetcher::State {
  State(const Dataset& samples, const SamplePreparer& prepares, int64_t room)
      : dataset(samples), preparer(prepares), capacity(static_cast<size_t>(std::max<int64_t>(room, 1))) {}

  bool has_work() const { return started < slots.size() && started < capacity; }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stopping || has_work(); });
      if (stopping) return;
      Slot& slot = slots[started++];  // deque: pushing and popping at the ends leaves the other slots in place
      lock.unlock();
      try {
        slot.result = preparer.prepare(dataset, slot.index, slot.epoch);
      } catch (...) {
        slot.bug = std::current_exception();
      }
      lock.lock();
      slot.done = true;
      changed.notify_all();
    }
  }

  const Dataset& dataset;
  const SamplePreparer& preparer;
  const size_t capacity;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Slot> slots;
  size_t started = 0;
  bool stopping = false;
  std::vector<std::thread> threads;
};

Prefetcher::Prefetcher(const Dataset& dataset, const SamplePreparer& preparer, int64_t num_threads, int64_t capacity)
    : state_(std::make_unique<State>(dataset, preparer, capacity)) {
  for (int64_t i = 0; i < std::max<int64_t>(num_threads, 1); ++i) {
    state_->threads.emplace_back([state = state_.get()] { state->work(); });
  }
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void Prefetcher::request(int64_t index, int64_t epoch) {
  {
    const std::lock_guard lock(state_->mutex);
    Slot& slot = state_->slots.emplace_back();
    slot.index = index;
    slot.epoch = epoch;
  }
  state_->changed.notify_all();
}

PrepareResult Prefetcher::next() {
  std::unique_lock lock(state_->mutex);
  require(!state_->slots.empty(), "data", "Prefetcher::next() without a request");
  state_->changed.wait(lock, [&] { return state_->slots.front().done; });
  Slot slot = std::move(state_->slots.front());
  state_->slots.pop_front();
  --state_->started;
  lock.unlock();
  state_->changed.notify_all();
  if (slot.bug) std::rethrow_exception(slot.bug);
  return std::move(slot.result);
}

}  // namespace lriad

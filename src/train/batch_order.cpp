#include "batch_order.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::array<std::pair<const char*, int64_t BatchPlace::*>, 5> kCounters = {
    {{"batch", &BatchPlace::number},
     {"batch_epoch", &BatchPlace::epoch},
     {"batch_first", &BatchPlace::first},
     {"batch_size", &BatchPlace::size},
     {"batch_end", &BatchPlace::end}}};

}  // namespace

int64_t BatchOrder::rest() const { return (last_.end - last_.first - last_.size + size_ - 1) / size_; }

BatchPlace BatchOrder::place(int64_t number) const {
  if (number == last_.number) return last_;
  const int64_t after = number - last_.number - 1;
  if (!is_regular() && after < rest()) {
    const int64_t first = last_.first + last_.size + after * size_;
    return {number, last_.epoch, first, std::min(size_, last_.end - first), last_.end};
  }
  const int64_t regular = is_regular() ? number : after - rest();
  const int64_t epoch = regular / per_epoch_ + (is_regular() ? 0 : last_.epoch + 1);
  return {number, epoch, regular % per_epoch_ * size_, size_, per_epoch_ * size_};
}

void BatchOrder::go_on_after(const BatchPlace& last) {
  const bool sound = last.epoch >= 0 && last.first >= 0 && last.size > 0 && last.first + last.size <= last.end;
  if (last.number < 0 || !sound || last.end > samples_) {
    fail("train", "the checkpoint stands at sample ", last.first + last.size, " of ", last.end,
         " of an epoch, but the data have ", samples_, " samples; set data back, or choose another output_dir");
  }
  if (place(last.number) != last) last_ = last;
}

double BatchOrder::epochs(int64_t steps, int64_t steps_per_batch) const {
  if (is_regular()) return static_cast<double>(steps) / static_cast<double>(per_epoch_ * steps_per_batch);
  const double after = static_cast<double>(steps) / static_cast<double>(steps_per_batch) - double(last_.number + 1);
  const double whole = after - static_cast<double>(rest());
  if (whole >= 0) return static_cast<double>(last_.epoch + 1) + whole / static_cast<double>(per_epoch_);
  const int64_t size = after < 0 ? last_.size : size_;
  const double taken = static_cast<double>(last_.first + last_.size) + after * static_cast<double>(size);
  return static_cast<double>(last_.epoch) + std::min(1.0, taken / static_cast<double>(last_.end));
}

int64_t BatchOrder::steps(double epochs, int64_t steps_per_batch) const {
  if (is_regular()) return static_cast<int64_t>(std::ceil(epochs * static_cast<double>(per_epoch_ * steps_per_batch)));
  const double done = static_cast<double>(last_.epoch + 1), taken = static_cast<double>(last_.first + last_.size);
  const double more = epochs >= done
                          ? static_cast<double>(rest()) + (epochs - done) * static_cast<double>(per_epoch_)
                          : ((epochs - done + 1) * static_cast<double>(last_.end) - taken) / static_cast<double>(size_);
  const double batches = static_cast<double>(last_.number + 1) + std::max(0.0, more);
  return static_cast<int64_t>(std::ceil(batches * static_cast<double>(steps_per_batch) - 1e-9));
}

void save_place(const BatchPlace& place, std::map<std::string, int64_t>& cursor) {
  for (const auto& [name, counter] : kCounters) cursor[name] = place.*counter;
}

BatchPlace saved_place(const std::map<std::string, int64_t>& cursor) {
  BatchPlace place;
  if (!cursor.contains(kCounters.front().first)) return place;
  for (const auto& [name, counter] : kCounters) {
    const auto found = cursor.find(name);
    if (found == cursor.end()) fail("train", "the checkpoint lacks the counter ", name);
    place.*counter = found->second;
  }
  return place;
}

}  // namespace lriad

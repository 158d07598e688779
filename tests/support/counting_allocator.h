#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace lriad {

/// Replaces libtorch's CPU allocator from its construction to the end of the program, and counts bytes.
class CountingAllocator : public c10::Allocator {
 public:
  static CountingAllocator& instance() {
    static auto* const kept = new CountingAllocator;  // outlives every tensor
    return *kept;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    if (refuse_above_ && held_ + static_cast<int64_t>(bytes) > *refuse_above_) {
      refuse_above_.reset();
      TORCH_CHECK(false, "CountingAllocator: not enough memory");
    }
    c10::DataPtr data = inner_->allocate(bytes);
    void* const pointer = data.release_context();
    if (pointer != nullptr) count(pointer, static_cast<int64_t>(bytes));
    return {pointer, pointer, &release, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* target, const void* source, std::size_t bytes) const override {
    default_copy_data(target, source, bytes);
  }

  /// Sets the peak to what is allocated now.
  void start() {
    const std::lock_guard lock(mutex_);
    peak_ = held_;
  }
  /// Makes the first allocation that would hold more bytes than this fail, once.
  void refuse_once_above(int64_t bytes) { refuse_above_ = bytes; }
  bool has_refused() const { return !refuse_above_; }
  int64_t held() const { return held_; }
  int64_t peak() const { return peak_; }

 private:
  CountingAllocator() : inner_(c10::GetAllocator(c10::kCPU)) { c10::SetAllocator(c10::kCPU, this, /*priority=*/255); }

  void count(void* pointer, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    sizes_[pointer] = bytes;
    held_ += bytes;
    peak_ = std::max(peak_, held_);
  }
  static void release(void* pointer) {
    CountingAllocator& self = instance();
    {
      const std::lock_guard lock(self.mutex_);
      const auto found = self.sizes_.find(pointer);
      if (found != self.sizes_.end()) {
        self.held_ -= found->second;
        self.sizes_.erase(found);
      }
    }
    self.inner_->raw_deleter()(pointer);
  }

  c10::Allocator* inner_;
  std::mutex mutex_;
  std::unordered_map<void*, int64_t> sizes_;
  int64_t held_ = 0, peak_ = 0;
  std::optional<int64_t> refuse_above_;
};

}  // namespace lriad

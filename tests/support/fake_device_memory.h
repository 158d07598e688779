#pragma once

#include <c10/core/CachingDeviceAllocator.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lriad {

/// Memory of the fake device: one region that can be read and written only while an OpenMemory exists.
class FakeMemory : public c10::DeviceAllocator {
 public:
  static FakeMemory& instance();

  c10::DataPtr allocate(std::size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* target, const void* source, std::size_t bytes) const override;

  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override;
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override { peak_ = held_; }
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex) override;

 private:
  friend class OpenMemory;
  FakeMemory();
  static void release(void* pointer);
  void protect(int protection) const;

  std::recursive_mutex mutex_;
  int open_ = 0;  ///< number of OpenMemory objects
  char* begin_;
  std::size_t used_ = 0;                      ///< bytes of the region that were ever allocated
  std::array<std::vector<char*>, 40> free_;   ///< free blocks by the binary logarithm of their size
  std::unordered_map<char*, int> logarithm_;  ///< binary logarithm of the size of each allocated block
  int64_t held_ = 0, peak_ = 0;
};

/// Makes the device's memory accessible to this thread; other threads wait for it.
class OpenMemory {
 public:
  OpenMemory();
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;
};

}  // namespace lriad

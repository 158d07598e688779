#include "support/fake_device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace lriad {
namespace {

constexpr std::size_t kRegion = std::size_t{1} << 36;  // bytes of address space; pages get memory when written
constexpr std::size_t kPage = 4096;
constexpr int kSmallest = 6;       // smallest block: 2^6 = 64 bytes, to which libtorch aligns memory on the CPU
constexpr int kNotANumber = 0xFF;  // every float dtype reads these bytes as NaN, integers as -1

}  // namespace

FakeMemory& FakeMemory::instance() {
  static auto* const kept = new FakeMemory;  // outlives every tensor
  return *kept;
}

FakeMemory::FakeMemory()
    : begin_(static_cast<char*>(
          mmap(nullptr, kRegion, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, /*offset=*/0))) {
  if (begin_ == MAP_FAILED) throw std::runtime_error("no addresses are left for the fake device");
}

c10::DataPtr FakeMemory::allocate(std::size_t bytes) {
  const c10::Device device(c10::kCUDA, 0);
  if (bytes == 0) return {nullptr, nullptr, &release, device};
  const int logarithm = std::max(kSmallest, static_cast<int>(std::bit_width(bytes - 1)));
  const std::size_t size = std::size_t{1} << logarithm;
  const OpenMemory open;
  std::vector<char*>& free = free_.at(static_cast<std::size_t>(logarithm));
  if (free.empty()) {
    if (used_ + size > kRegion) throw std::runtime_error("the memory of the fake device is full");
    free.push_back(begin_ + used_);
    used_ += size;
    protect(PROT_READ | PROT_WRITE);
  }
  char* const block = free.back();
  free.pop_back();
  logarithm_[block] = logarithm;
  std::memset(block, kNotANumber, bytes);
  held_ += static_cast<int64_t>(size);
  peak_ = std::max(peak_, held_);
  return {block, block, &release, device};
}

void FakeMemory::release(void* pointer) {
  FakeMemory& self = instance();
  const std::lock_guard lock(self.mutex_);
  const auto found = self.logarithm_.find(static_cast<char*>(pointer));
  if (found == self.logarithm_.end()) return;
  self.free_.at(static_cast<std::size_t>(found->second)).push_back(found->first);
  self.held_ -= int64_t{1} << found->second;
  self.logarithm_.erase(found);
}

void FakeMemory::copy_data(void* target, const void* source, std::size_t bytes) const {
  const OpenMemory open;
  std::memcpy(target, source, bytes);
}

c10::CachingDeviceAllocator::DeviceStats FakeMemory::getDeviceStats(c10::DeviceIndex) {
  c10::CachingDeviceAllocator::DeviceStats stats;
  stats.allocated_bytes[0].current = held_;
  stats.allocated_bytes[0].peak = peak_;
  return stats;
}

std::pair<std::size_t, std::size_t> FakeMemory::getMemoryInfo(c10::DeviceIndex) { return {kRegion - used_, kRegion}; }

void FakeMemory::protect(int protection) const {
  if (mprotect(begin_, (used_ + kPage - 1) / kPage * kPage, protection) != 0) {
    throw std::runtime_error("the fake device's memory cannot be protected");
  }
}

OpenMemory::OpenMemory() {
  FakeMemory& memory = FakeMemory::instance();
  memory.mutex_.lock();
  if (memory.open_++ == 0) memory.protect(PROT_READ | PROT_WRITE);
}

OpenMemory::~OpenMemory() {
  FakeMemory& memory = FakeMemory::instance();
  if (--memory.open_ == 0) memory.protect(PROT_NONE);
  memory.mutex_.unlock();
}

}  // namespace lriad

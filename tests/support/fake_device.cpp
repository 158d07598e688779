#include "support/fake_device.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "support/fake_device_memory.h"

namespace lriad {
namespace {

/// Tells libtorch that the fake device is the only one.
struct FakeGuard : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::kCUDA;
  c10::DeviceType type() const override { return static_type; }
  c10::Device exchangeDevice(c10::Device) const override { return fake_device(); }
  c10::Device getDevice() const override { return fake_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, fake_device()); }
  c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void synchronizeDevice(c10::DeviceIndex) const override { count_synchronisation(); }
};

/// Without a generator: random numbers of a device would not be those of the CPU.
struct FakeHooks : at::CUDAHooksInterface {
  explicit FakeHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};

C10_REGISTER_GUARD_IMPL(CUDA, FakeGuard);

[[maybe_unused]] const bool registered = [] {
  c10::SetAllocator(c10::kCUDA, &FakeMemory::instance(), /*priority=*/255);
  return true;
}();

}  // namespace

at::Device fake_device() { return {at::kCUDA, 0}; }

}  // namespace lriad

namespace at {
// libtorch looks up the hooks by this name.
struct CUDAHooks : lriad::FakeHooks {
  using FakeHooks::FakeHooks;
};
REGISTER_CUDA_HOOKS(CUDAHooks);
}  // namespace at

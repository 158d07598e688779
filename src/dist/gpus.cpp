#include "lriad/dist/gpus.h"

#include <ATen/DeviceAccelerator.h>
#include <dlfcn.h>

#include <array>
#include <cstdlib>

#include "lriad/core/error.h"
#include "lriad/core/version.h"

namespace lriad {
namespace {

/// CUDA version of this libtorch in the driver's form (13000 for 13.0); 0 if built without CUDA.
int64_t needed_cuda_version() {
  const std::string text = kCudaVersion;
  return text == "none" ? 0 : 1000 * std::stoll(text);
}

std::string version_text(int64_t version) { return concat(version / 1000, '.', version % 1000 / 10); }

/// Calls functions of the driver's library (cuda.h), which exists only where a driver is installed.
class DriverLibrary {
 public:
  DriverLibrary() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {}
  bool is_open() const { return library_ != nullptr; }

  /// Calls a function that returns a CUresult; -1 if the library lacks it.
  template <class... Arguments>
  int call(const char* name, Arguments... arguments) const {
    const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library_, name));
    return function == nullptr ? -1 : function(arguments...);
  }

  std::string words_for(int result) const {
    const char* text = nullptr;
    call("cuGetErrorString", result, &text);
    return text == nullptr ? concat("error ", result) : concat(text, " (error ", result, ")");
  }

 private:
  void* library_;  // never closed: CUDA itself goes on using it
};

}  // namespace

GpuDriver ask_gpu_driver() {
  GpuDriver driver;
  const DriverLibrary library;
  driver.present = library.is_open();
  if (!driver.present) return driver;
  int version = 0, count = 0;
  library.call("cuDriverGetVersion", &version);
  driver.cuda_version = version;
  int result = library.call("cuInit", 0u);
  if (result == 0) result = library.call("cuDeviceGetCount", &count);
  if (result != 0) driver.problem = library.words_for(result);
  for (int index = 0; index < count; ++index) {
    std::array<char, 128> name{};
    std::size_t bytes = 0;
    int device = 0;
    library.call("cuDeviceGet", &device, index);
    library.call("cuDeviceGetName", name.data(), static_cast<int>(name.size()), device);
    library.call("cuDeviceTotalMem_v2", &bytes, device);
    driver.cards.push_back(concat(name.data(), ", ", bytes >> 20, " MiB"));
  }
  return driver;
}

int64_t usable_gpus(const GpuDriver& driver) {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const bool hidden = visible != nullptr && (*visible == '\0' || std::string(visible) == "-1");
  if (!driver.present || hidden) return 0;
  const int64_t needed = needed_cuda_version();
  if (needed == 0) {
    fail("dist",
         "this program was built without CUDA, but an NVIDIA driver is present; build it with the CUDA toolkit, or ",
         "set distributed.devices: cpu");
  }
  if (driver.cuda_version / 1000 < needed / 1000) {
    fail("dist", "the NVIDIA driver serves CUDA ", version_text(driver.cuda_version), ", this libtorch needs ",
         version_text(needed), "; install a newer driver, build with a libtorch of CUDA ", driver.cuda_version / 1000,
         ", or set distributed.devices: cpu");
  }
  if (driver.cards.empty()) {
    fail("dist", "an NVIDIA driver is present, but no GPU is visible: ",
         driver.problem.empty() ? "it shows none" : driver.problem,
         visible == nullptr ? "" : concat(", CUDA_VISIBLE_DEVICES is '", visible, "'"),
         "; check nvidia-smi and CUDA_VISIBLE_DEVICES, or set distributed.devices: cpu");
  }
  return static_cast<int64_t>(driver.cards.size());
}

void load_cuda_half() {
  if (needed_cuda_version() == 0) fail("dist", "this program was built without CUDA");
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) return;
  fail("dist", "the CUDA half of libtorch cannot be loaded: ", dlerror(), "; run scripts/setup.sh again");
}

int64_t num_gpus() {
  static const int64_t count = [] {
    const int64_t usable = usable_gpus(ask_gpu_driver());
    if (usable > 0) load_cuda_half();
    return usable;
  }();
  return count;
}

void use_device(const at::Device& device, double memory_fraction) {
  if (!device.is_cuda()) return;
  // libtorch reads the variable at the first allocation; of a setting given twice the last one counts.
  std::string settings = "expandable_segments:True";
  if (memory_fraction < 1) settings += concat(",per_process_memory_fraction:", memory_fraction);
  for (const char* name : {"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"}) {
    if (const char* given = std::getenv(name); given != nullptr && *given != '\0') {
      settings += concat(',', given);
      break;
    }
  }
  setenv("PYTORCH_CUDA_ALLOC_CONF", settings.c_str(), /*overwrite=*/1);
  at::accelerator::setDeviceIndex(device.index());
}

bool is_out_of_memory(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  const std::string text = error.what_without_backtrace();
  return text.find("out of memory") != std::string::npos || text.find("not enough memory") != std::string::npos ||
         text.find("can't allocate memory") != std::string::npos || text.find("ALLOC_FAILED") != std::string::npos;
}

}  // namespace lriad

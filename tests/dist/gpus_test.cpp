#include "lriad/dist/gpus.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "lriad/core/error.h"
#include "lriad/core/version.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

GpuDriver two_cards() { return {true, 13000, {"NVIDIA A40, 46068 MiB", "NVIDIA A40, 46068 MiB"}, ""}; }

class Gpus : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("CUDA_VISIBLE_DEVICES");
    if (std::string(kCudaVersion) == "none") GTEST_SKIP() << "built without CUDA (device)";
  }
  void TearDown() override { unsetenv("CUDA_VISIBLE_DEVICES"); }
};

TEST_F(Gpus, AreThoseThatTheDriverShows) {
  EXPECT_EQ(usable_gpus(two_cards()), 2);
  EXPECT_EQ(usable_gpus({}), 0) << "no driver";
  setenv("CUDA_VISIBLE_DEVICES", "", 1);
  EXPECT_EQ(usable_gpus({true, 13000, {}, "no CUDA-capable device is detected"}), 0) << "hidden on purpose";
}

TEST_F(Gpus, ADriverThatShowsNoneIsNamedWithItsCause) {
  setenv("CUDA_VISIBLE_DEVICES", "7", 1);
  EXPECT_THAT(
      [] {
        usable_gpus({true, 13000, {}, "no CUDA-capable device is detected (error 100)"});
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("no GPU is visible: no CUDA-capable device"),
                                 HasSubstr("CUDA_VISIBLE_DEVICES is '7'"), HasSubstr("nvidia-smi"))));
}

TEST_F(Gpus, ADriverTooOldSaysWhatIsNeeded) {
  GpuDriver old = two_cards();
  old.cuda_version = 12040;
  EXPECT_THAT(
      [&] { usable_gpus(old); },
      ThrowsMessage<Error>(AllOf(HasSubstr("serves CUDA 12.4"), HasSubstr("needs 13.0"), HasSubstr("newer driver"))));
}

// Programs are not linked with the CUDA half; they load it like this if there is a GPU.
TEST_F(Gpus, TheCudaHalfOfLibtorchIsFoundAndRegistersItsOperators) {
  const auto multiply = c10::Dispatcher::singleton().findSchemaOrThrow("aten::mm", "");
  EXPECT_FALSE(multiply.hasKernelForDispatchKey(c10::DispatchKey::CUDA));
  load_cuda_half();
  EXPECT_TRUE(multiply.hasKernelForDispatchKey(c10::DispatchKey::CUDA));
  load_cuda_half();  // again: nothing happens
}

}  // namespace
}  // namespace lriad

// Checks that the fake device finds the faults that it is made for.
#include "support/fake_device.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

at::Tensor on_device(std::vector<double> values) { return at::tensor(values, at::kDouble).to(fake_device()); }

TEST(FakeDevice, OperatorsGiveTheNumbersOfTheCpu) {
  const at::Tensor x = on_device({1, 2, 3, 4}).view({2, 2});
  EXPECT_TRUE(x.is_cuda());
  const at::Tensor product = at::mm(x, x.t()).cpu();
  EXPECT_TRUE(at::equal(product, at::tensor({5., 11., 11., 25.}, at::kDouble).view({2, 2})));
  at::Tensor grown = at::empty({0}, x.options());
  at::add_out(grown, x, x);
  EXPECT_TRUE(at::equal(grown.cpu(), 2 * x.cpu()));
}

TEST(FakeDevice, GradientsPassThroughIt) {
  const at::Tensor x = on_device({0.5, -1.5}).requires_grad_();
  (x * x * x).sum().backward();
  EXPECT_TRUE(at::allclose(x.grad().cpu(), at::tensor({0.75, 6.75}, at::kDouble)));
}

TEST(FakeDeviceDeathTest, TheHostMustNotReadItsMemory) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const at::Tensor x = on_device({1, 2, 3});
  EXPECT_EXIT(std::exit(*x.const_data_ptr<double>() > 0 ? 0 : 1), ::testing::KilledBySignal(SIGSEGV), "");
}

TEST(FakeDevice, RefusesTensorsOfBothDevicesInOneOperator) {
  const at::Tensor x = on_device({1, 2, 3}), y = at::ones({3}, at::kDouble);
  EXPECT_THAT([&] { at::add(x, y); }, ThrowsMessage<c10::Error>(HasSubstr("same device")));
  EXPECT_THAT([&] { x.index_select(0, at::tensor({0, 1}, at::kLong)); }, ThrowsMessage<c10::Error>(HasSubstr("mixes")));
  EXPECT_EQ(at::add(x, at::scalar_tensor(1, at::kDouble)).cpu()[2].item<double>(), 4);
}

TEST(FakeDevice, NewMemoryIsNotANumber) {
  EXPECT_TRUE(at::isnan(at::empty({100}, at::TensorOptions().device(fake_device()))).all().item<bool>());
}

TEST(FakeDevice, CountsLaunchesWaitsAndCopies) {
  const at::Tensor numbers = at::ones({4}), x = numbers.to(fake_device());
  const DeviceCounts begin = device_counts();
  const at::Tensor y = (x + 1).view({2, 2}).t() * 2;
  const DeviceCounts computed = device_counts();
  EXPECT_EQ((computed - begin).launches, 2);
  EXPECT_EQ((computed - begin).synchronisations, 0);
  y.cpu();
  y.sum().item<float>();
  (y > 0).nonzero();
  EXPECT_EQ((device_counts() - computed).synchronisations, 3);
  numbers.to(fake_device());
  EXPECT_EQ((device_counts() - computed).copies, 1);
}

}  // namespace
}  // namespace lriad

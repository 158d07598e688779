#include "grpo/head_logprobs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "support/tiny_model.h"

namespace lriad {
namespace {

// Shape letters: M rows, D hidden size, V vocabulary.
struct Case {
  at::Tensor hidden_MD, head_VD, targets_M, allowed_MV, weights_M;
};

Case some_case(at::ScalarType dtype, bool with_allowed) {
  at::Generator generator = seeded(3);
  const auto make = [&](at::IntArrayRef sizes) { return normal(sizes, generator).to(dtype).requires_grad_(); };
  Case one{make({13, 6}),
           make({17, 6}),
           at::randint(0, 17, {13}, generator, at::TensorOptions().dtype(at::kLong)),
           {},
           normal({13}, generator).to(dtype)};
  if (with_allowed) {
    one.allowed_MV = at::empty({13, 17}, at::kDouble).uniform_(0, 1, generator) < 0.4;
    one.allowed_MV.scatter_(1, one.targets_M.unsqueeze(1), true);
  }
  return one;
}

/// Computes log-probabilities and the gradients of sum(weights * logp).
HeadLogprobs run(const Case& one, int64_t logits_at_once) {
  const LogprobGradient logprob_gradient = [&](const at::Tensor& logp_C, int64_t begin) {
    return one.weights_M.slice(0, begin, begin + logp_C.size(0)).to(logp_C.scalar_type());
  };
  return head_logprobs(one.hidden_MD, one.head_VD, one.targets_M, one.allowed_MV, 0.7, logprob_gradient,
                       logits_at_once);
}

class HeadLogprobsOf : public ::testing::TestWithParam<std::tuple<at::ScalarType, bool>> {
 protected:
  Case one_ = some_case(std::get<0>(GetParam()), std::get<1>(GetParam()));
  double tolerance_ = std::get<0>(GetParam()) == at::kDouble ? 1e-13 : 2e-6;
};
INSTANTIATE_TEST_SUITE_P(TypesAndSets, HeadLogprobsOf,
                         ::testing::Combine(::testing::Values(at::kDouble, at::kFloat), ::testing::Bool()));

TEST_P(HeadLogprobsOf, ValuesEntropyAndGradientsAreThoseOfLogSoftmaxWhateverTheChunk) {
  at::Tensor scores = at::linear(one_.hidden_MD, one_.head_VD) / 0.7;
  if (one_.allowed_MV.defined()) scores = scores.masked_fill(~one_.allowed_MV, -INFINITY);
  const at::Tensor logs = scores.log_softmax(1);
  const at::Tensor logp = logs.gather(1, one_.targets_M.unsqueeze(1)).squeeze(1);
  const at::Tensor entropy = -(logs.exp() * logs).nan_to_num().sum(1);
  const auto expected = torch::autograd::grad({(logp * one_.weights_M).sum()}, {one_.hidden_MD, one_.head_VD});
  for (const int64_t logits_at_once : {1, 17, 34, 100, 13 * 17, 1 << 20}) {
    const HeadLogprobs result = run(one_, logits_at_once);
    EXPECT_LE(largest_gap(result.logp_M, logp), tolerance_) << logits_at_once;
    EXPECT_LE(largest_gap(result.entropy_M, entropy), tolerance_) << logits_at_once;
    EXPECT_TRUE(at::equal(result.top1_M, logs.argmax(1) == one_.targets_M)) << logits_at_once;
    EXPECT_LE(largest_gap(result.hidden_gradient_MD, expected[0]), 10 * tolerance_) << logits_at_once;
    EXPECT_LE(largest_gap(result.head_gradient_VD, expected[1]), 10 * tolerance_) << logits_at_once;
  }
}

TEST(HeadLogprobs, GradientsAreFiniteDifferences) {
  const Case one = some_case(at::kDouble, /*with_allowed=*/true);
  const HeadLogprobs result = run(one, 40);
  const auto value = [&] { return (run(one, 40).logp_M * one.weights_M).sum().item<double>(); };
  const at::NoGradGuard no_grad;
  for (const auto& [input, gradients] :
       {std::pair(one.hidden_MD, result.hidden_gradient_MD), std::pair(one.head_VD, result.head_gradient_VD)}) {
    const at::Tensor flat = input.view({-1}), gradient = gradients.view({-1});
    for (int64_t i = 0; i < flat.size(0); i += 7) {
      const double step = 1e-6, before = flat[i].item<double>();
      flat[i].fill_(before + step);
      const double above = value();
      flat[i].fill_(before - step);
      const double below = value();
      flat[i].fill_(before);
      EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * step), 1e-8);
    }
  }
}

TEST(HeadLogprobs, AFrozenHeadGetsNoGradientAndWithoutALossGradientThereIsNone) {
  Case one = some_case(at::kDouble, /*with_allowed=*/false);
  one.head_VD = one.head_VD.detach();
  EXPECT_TRUE(run(one, 40).hidden_gradient_MD.defined());
  EXPECT_FALSE(run(one, 40).head_gradient_VD.defined());
  const HeadLogprobs plain = head_logprobs(one.hidden_MD, one.head_VD, one.targets_M, {}, 0.7);
  EXPECT_TRUE(at::equal(plain.logp_M, run(one, 1 << 20).logp_M));
  EXPECT_FALSE(plain.hidden_gradient_MD.defined());
}

TEST(HeadLogprobs, HalfPrecisionInputsAreSummedInFloat32) {
  const Case one = some_case(at::kBFloat16, /*with_allowed=*/false);
  const HeadLogprobs result = run(one, 40);
  EXPECT_EQ(result.logp_M.scalar_type(), at::kFloat);
  EXPECT_EQ(result.hidden_gradient_MD.scalar_type(), at::kBFloat16);
}

}  // namespace
}  // namespace lriad

#include "lriad/grpo/loss.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

at::Tensor numbers(std::initializer_list<double> values) {
  return at::tensor(std::vector<double>(values), at::kDouble);
}

LossInputs inputs() {
  return {numbers({-0.5, -1.2, -2.0, -0.1}), numbers({-0.9, -1.2, -1.0, -0.1}), numbers({-0.7, -1.0, -2.5, -0.3}),
          numbers({1.5, 1.5, -0.5, -0.5}), numbers({0.25, 0.25, 0.1, 0})};
}

double token_loss(double lp, double old, double reference, double advantage, const GrpoSection& section) {
  const double ratio = std::exp(lp - old), clipped = std::min(std::max(ratio, 0.8), 1.2);
  const double policy = section.policy_loss == PolicyLoss::kLogp ? advantage * lp
                        : section.epsilon                        ? std::min(ratio * advantage, clipped * advantage)
                                                                 : ratio * advantage;
  return -policy + section.beta * (std::exp(reference - lp) - (reference - lp) - 1);
}

double by_hand(const LossInputs& in, const GrpoSection& section) {
  double sum = 0;
  for (int64_t k = 0; k < in.logp_M.size(0); ++k) {
    const auto at_row = [k](const at::Tensor& x) { return x[k].item<double>(); };
    sum += at_row(in.weight_M) *
           token_loss(at_row(in.logp_M), at_row(in.old_M), at_row(in.reference_M), at_row(in.advantage_M), section);
  }
  return sum;
}

std::vector<GrpoSection> sections() {
  GrpoSection logp, ratio, unclipped;
  ratio.policy_loss = unclipped.policy_loss = PolicyLoss::kRatio;
  unclipped.epsilon.reset();
  return {logp, ratio, unclipped};
}

TEST(GrpoLoss, IsTheFormulaOfThePaperOrOfTrl) {
  for (const GrpoSection& section : sections()) {
    EXPECT_NEAR(grpo_loss(inputs(), section).loss.item<double>(), by_hand(inputs(), section), 1e-12);
  }
}

TEST(GrpoLoss, GradientEqualsFiniteDifferences) {
  for (const GrpoSection& section : sections()) {
    LossInputs in = inputs();
    in.logp_M.set_requires_grad(true);
    grpo_loss(in, section).loss.backward();
    for (int64_t k = 0; k < 4; ++k) {
      const auto moved = [&](double by) {
        LossInputs other = inputs();
        other.logp_M[k] += by;
        return by_hand(other, section);
      };
      EXPECT_NEAR(in.logp_M.grad()[k].item<double>(), (moved(1e-6) - moved(-1e-6)) / 2e-6, 1e-8);
    }
  }
}

TEST(GrpoLoss, GradientOfAPartIsThatOfTheWhole) {
  for (GrpoSection section : sections()) {
    for (const KlReference reference : {KlReference::kBase, KlReference::kOld}) {
      section.kl_anchor = reference;
      LossInputs in = inputs();
      if (reference == KlReference::kOld) in.reference_M = at::Tensor();
      in.logp_M.set_requires_grad(true);
      grpo_loss(in, section).loss.backward();
      const at::Tensor logp_M = in.logp_M.detach();
      for (const int64_t begin : {0, 1, 3}) {
        const at::Tensor logprob_gradient = grpo_logprob_gradient(in, logp_M.slice(0, begin), begin, section);
        EXPECT_TRUE(at::equal(logprob_gradient, in.logp_M.grad().slice(0, begin))) << begin;
      }
    }
  }
}

TEST(GrpoLoss, WithoutOldTheRatioIsOneAndItsGradientThatOfLogp) {
  LossInputs in = inputs();
  in.old_M = in.reference_M = at::Tensor();
  in.logp_M.set_requires_grad(true);
  const LossSums sums = grpo_loss(in, sections()[1]);
  EXPECT_NEAR(sums.loss.item<double>(), -0.25 * 1.5 - 0.25 * 1.5 + 0.1 * 0.5, 1e-12);
  sums.loss.backward();
  EXPECT_TRUE(at::allclose(in.logp_M.grad(), -in.weight_M * in.advantage_M));
}

TEST(GrpoLoss, CountsClippedTokensByTheSignOfTheAdvantage) {
  const LossSums sums = grpo_loss(inputs(), sections()[1]);
  EXPECT_EQ(sums.clip_high.item<double>(), 1);  // exp(0.4) > 1.2 with A > 0
  EXPECT_EQ(sums.clip_low.item<double>(), 1);   // exp(-1) < 0.8 with A < 0
  EXPECT_GT(sums.kl.item<double>(), 0);
}

TEST(GrpoLoss, RefusesInputsOfAnotherShape) {
  LossInputs in = inputs();
  in.advantage_M = numbers({1, 2, 3});
  EXPECT_THAT([&] { grpo_loss(in, {}); }, ThrowsMessage<InternalError>(HasSubstr("has not the shape [4] of logp")));
}

TEST(CompletionWeights, AreTheFourNormalisersOfTheWholeStep) {
  const std::vector<int64_t> lengths = {4, 1, 0};
  using Weights = std::vector<double>;
  EXPECT_EQ(completion_weights(lengths, LossType::kGrpo, 3, 5, 10), (Weights{1.0 / 12, 1.0 / 3, 0}));
  EXPECT_EQ(completion_weights(lengths, LossType::kBnpo, 3, 5, 10), (Weights{0.2, 0.2, 0}));
  EXPECT_EQ(completion_weights(lengths, LossType::kDapo, 3, 5, 10), (Weights{0.2, 0.2, 0}));
  EXPECT_EQ(completion_weights(lengths, LossType::kDrGrpo, 3, 5, 10), (Weights{1.0 / 30, 1.0 / 30, 0}));
}

TEST(GrpoLoss, TokensWithoutWeightCannotPoisonSumsOrGradients) {
  for (const PolicyLoss policy_loss : {PolicyLoss::kLogp, PolicyLoss::kRatio}) {
    GrpoSection section;
    section.policy_loss = policy_loss;
    LossInputs in = inputs();
    in.weight_M = in.weight_M.clone();
    in.weight_M[1] = 0;
    const LossSums expected = grpo_loss(in, section);
    const at::Tensor expected_gradient = grpo_logprob_gradient(in, in.logp_M, 0, section);
    for (const double bad : std::initializer_list<double>{INFINITY, -INFINITY, NAN}) {
      LossInputs poisoned = in;
      for (at::Tensor* values : {&poisoned.logp_M, &poisoned.old_M, &poisoned.reference_M}) {
        if (!values->defined()) continue;
        *values = values->detach().clone();
        (*values)[1] = bad;
      }
      const LossSums sums = grpo_loss(poisoned, section);
      EXPECT_EQ(sums.loss.item<double>(), expected.loss.item<double>());
      EXPECT_EQ(sums.kl.item<double>(), expected.kl.item<double>());
      EXPECT_TRUE(grpo_logprob_gradient(poisoned, poisoned.logp_M, 0, section).equal(expected_gradient));
    }
  }
}

}  // namespace
}  // namespace lriad

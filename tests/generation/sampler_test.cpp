#include "lriad/generation/sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "lriad/core/files.h"
#include "lriad/core/random.h"
#include "lriad/model/safetensors.h"

namespace lriad {
namespace {

const std::filesystem::path kGolden = LRIAD_GOLDEN_DIR;
constexpr double kNever = -std::numeric_limits<double>::infinity();

int64_t sampled(const at::Tensor& scores_V, double uniform) {
  return sample_tokens(scores_V.unsqueeze(0), at::full({1}, uniform, at::kDouble)).item<int64_t>();
}

at::Tensor scores_of(const at::Tensor& logits_NV, const SamplerSettings& settings) {
  return Sampler(settings, logits_NV.size(1), at::kCPU).scores(logits_NV);
}

// Golden: scripts/golden/make_sampler.py, seed 11; 15 settings over 12 rows of 40 logits, half of them full of ties.
TEST(Sampler, ScoresAreThoseOfTransformersWarpers) {
  const SafetensorsFile golden(kGolden / "sampler.safetensors");
  const auto cases = nlohmann::json::parse(read_file("test", kGolden / "sampler.json"));
  ASSERT_EQ(cases.size(), 15u);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const auto& one = cases[k];
    const SamplerSettings settings{one["temperature"], one["top_k"], one["top_p"], one["min_p"], one["banned"]};
    const at::Tensor scores = scores_of(golden.tensor("logits"), settings);
    const at::Tensor expected = golden.tensor("scores." + std::to_string(k));
    EXPECT_TRUE(at::equal(at::isfinite(scores), at::isfinite(expected))) << one;
    EXPECT_TRUE(at::allclose(scores, expected, /*rtol=*/1e-6, /*atol=*/1e-6)) << one;
  }
}

TEST(Sampler, HalfPrecisionLogitsAreScoredInFloat32AndBansBeyondTheVocabularyPass) {
  const at::Tensor logits = at::tensor({1.0, 2.0, 3.0}, at::kFloat).unsqueeze(0);
  const SamplerSettings settings{0.7, 0, 1, 0, {1, 999}};
  const at::Tensor scores = scores_of(logits.to(at::kBFloat16), settings);
  EXPECT_EQ(scores.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(scores, scores_of(logits, settings)));
}

TEST(SampleTokens, TheEdgesOfTheUniformNumberGiveTheFirstAndTheLastTokenThatCanBeSampled) {
  const at::Tensor scores = at::tensor({kNever, kNever, 0.3, kNever, -2.0, 0.1, kNever, kNever}, at::kDouble);
  EXPECT_EQ(sampled(scores, 0.0), 2);
  EXPECT_EQ(sampled(scores, 1 - 0x1p-53), 5);
  const at::Tensor rare = at::tensor({-700.0, 0.0, -700.0}, at::kDouble);
  EXPECT_EQ(sampled(rare, 1 - 0x1p-53), 1);
}

TEST(SampleTokens, NeverGivesATokenAtMinusInfinity) {
  at::Generator generator = at::detail::createCPUGenerator(3);
  at::Tensor scores = at::empty({2000, 97}, at::kDouble).normal_(0, 4, generator);
  const at::Tensor never = at::empty({2000, 97}, at::kDouble).uniform_(0, 1, generator) < 0.7;
  never.select(1, 50).fill_(false);
  scores.masked_fill_(never, kNever);
  for (const double uniform : {0.0, 0x1p-53, 0.25, 0.5, 0.75, 1 - 0x1p-52, 1 - 0x1p-53}) {
    const at::Tensor ids = sample_tokens(scores, at::full({2000}, uniform, at::kDouble));
    EXPECT_TRUE(at::isfinite(scores.gather(1, ids.unsqueeze(1))).all().item<bool>()) << uniform;
    const at::Tensor narrow_ids = sample_tokens(scores.to(at::kFloat), at::full({2000}, uniform, at::kDouble));
    EXPECT_TRUE(at::isfinite(scores.gather(1, narrow_ids.unsqueeze(1))).all().item<bool>()) << uniform;
  }
}

TEST(SampleTokens, InvertsTheCumulativeDistribution) {
  const at::Tensor scores = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble).log();
  const double borders[] = {0.1, 0.3, 0.6, 1.0};
  for (int64_t k = 0; k < 4; ++k) {
    EXPECT_EQ(sampled(scores, borders[k] - 1e-12), k);
    EXPECT_EQ(sampled(scores, borders[k] + 1e-12), std::min<int64_t>(k + 1, 3));
  }
}

TEST(SampleTokens, CountsFollowTheDistribution) {
  constexpr int64_t kSamples = 100000;
  const at::Tensor p = at::tensor({0.02, 0.08, 0.15, 0.2, 0.25, 0.3}, at::kDouble);
  const CounterRandom random(5, RandomUse::kToken);
  const at::Tensor uniforms = at::empty({kSamples}, at::kDouble);
  for (int64_t i = 0; i < kSamples; ++i)
    uniforms.accessor<double, 1>()[i] = random.uniform(1, 2, 3, static_cast<uint32_t>(i));
  const at::Tensor counts = at::bincount(sample_tokens(p.log().expand({kSamples, 6}), uniforms), {}, 6).to(at::kDouble);
  const at::Tensor expected = p * kSamples;
  const double chi_square = ((counts - expected).square() / expected).sum().item<double>();
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom: exceeded once in 1000 seeds
}

// As large as the vocabulary of Qwen2-VL, where the sums run over blocks first. The tail has one part in 10^9 of the
// probability; the running sum that is the reference is off by 3e-12 there, the sums by blocks by 4e-15.
TEST(SampleTokens, ALargeVocabularyKeepsTheOrderOfItsTokensToTheLastOfTheTail) {
  constexpr int64_t kVocabulary = 152064;
  at::Generator generator = at::detail::createCPUGenerator(4);
  at::Tensor scores = at::empty({4, kVocabulary}, at::kDouble).normal_(0, 3, generator);
  scores.slice(1, kVocabulary / 2).fill_(-16.2);
  scores.slice(1, 0, 5000).fill_(kNever);
  const at::Tensor sums = at::softmax(scores, 1).cumsum(1);
  for (const double uniform : {0.0, 1e-12, 0.3, 0.7, 1 - 3e-10, 1 - 1e-11, 1 - 0x1p-53}) {
    const at::Tensor ids = sample_tokens(scores, at::full({4}, uniform, at::kDouble));
    for (int64_t row = 0; row < 4; ++row) {
      const auto id = ids[row].item<int64_t>();
      EXPECT_GE(id, 5000);
      EXPECT_GE(sums[row][id].item<double>(), uniform - 1e-11);
      EXPECT_LE(sums[row][id - 1].item<double>(), uniform + 1e-11);
      EXPECT_TRUE(uniform < 1 - 1e-12 || id >= kVocabulary - 2) << id;
      EXPECT_TRUE(uniform < 1 - 4e-10 || id > kVocabulary / 2) << id;
    }
  }
}

TEST(SampleTokens, ARowOfNaNsGivesAnIdOfTheVocabulary) {
  const int64_t id = sampled(at::full({7}, std::numeric_limits<double>::quiet_NaN(), at::kDouble), 0.5);
  EXPECT_GE(id, 0);
  EXPECT_LT(id, 7);
}

}  // namespace
}  // namespace lriad

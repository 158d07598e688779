#include "lriad/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/safetensors.h"
#include "lriad/train/schedule.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kGolden = LRIAD_GOLDEN_DIR;
const std::vector<std::string> kNames = {"a.weight", "b.bias", "c.weight", "d.norm", "e.weight"};

OptimSection golden_section() {
  OptimSection section;
  section.learning_rate = 0.05;
  section.warmup_ratio = 0.3;
  section.weight_decay = 0.1;
  section.adam_beta1 = 0.8;
  section.adam_beta2 = 0.95;
  section.adam_epsilon = 1e-6;
  section.max_grad_norm = 3.0;
  return section;
}

std::vector<TrainedParameter> parameters_of(const std::map<std::string, at::Tensor>& tensors) {
  std::vector<TrainedParameter> parameters;
  for (const auto& [name, tensor] : tensors) parameters.push_back({name, tensor, name.ends_with("weight")});
  return parameters;
}

// Golden: scripts/golden/make_optim.py, seed 7; 6 steps over 5 tensors, two of them without weight decay.
class GoldenAdamW : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Types, GoldenAdamW, ::testing::Values("float32", "float64"));

TEST_P(GoldenAdamW, StepsAndClipsAsTorchDoes) {
  const SafetensorsFile golden(kGolden / "optim.safetensors");
  const auto expected = [&](const std::string& what) { return golden.tensor(GetParam() + "." + what); };
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : kNames) tensors[name] = expected("start." + name).clone().requires_grad_();
  FlatParameters parameters(parameters_of(tensors));
  const OptimSection section = golden_section();
  AdamW optimizer(parameters, section);
  const double tolerance = GetParam() == "float32" ? 2e-6 : 1e-14;
  for (int64_t step = 0; step < 6; ++step) {
    for (const std::string& name : kNames)
      tensors[name].mutable_grad().copy_(expected(concat("grad", step, ".", name)));
    const double norm = expected("norms")[step].item<double>();
    EXPECT_NEAR(optimizer.clip_gradients(), norm, norm * (GetParam() == "float32" ? 2e-7 : 1e-15));
    optimizer.step(section.learning_rate * schedule_factor(Schedule::kLinear, step, 6, section.warmup_ratio));
    for (const std::string& name : kNames) {
      const double gap = (tensors[name] - expected(concat("after", step, ".", name))).abs().max().item<double>();
      EXPECT_LE(gap, tolerance) << name << " after step " << step;
    }
  }
}

TEST(Schedules, AreThoseOfTransformers) {
  const auto rows = nlohmann::json::parse(read_file("test", kGolden / "schedules.json"));
  ASSERT_EQ(rows.size(), 24u);
  for (const auto& row : rows) {
    const std::string kind = row["kind"];
    const Schedule schedule = kind == "linear"   ? Schedule::kLinear
                              : kind == "cosine" ? Schedule::kCosine
                                                 : Schedule::kConstant;
    const int64_t total = row["total"];
    const double ratio = row["ratio"];
    EXPECT_EQ(num_warmup_steps(ratio, total), row["warmup"].get<int64_t>());
    for (int64_t step = 0; step <= total; ++step) {
      const double expected = row["factors"][static_cast<std::size_t>(step)];
      EXPECT_NEAR(schedule_factor(schedule, step, total, ratio), expected, 1e-15)
          << row["kind"] << ' ' << total << ' ' << step;
    }
  }
}

TEST(FlatParameters, LetABackwardPassAddIntoTheFlatGradient) {
  at::Tensor a = at::tensor({1.0, 2.0}).requires_grad_();
  at::Tensor b = at::tensor({3.0}).requires_grad_();
  FlatParameters parameters({{"a", a, false}, {"b", b, true}});
  for (int pass = 0; pass < 2; ++pass) (a.sum() * 2 + (b * b).sum()).backward();
  EXPECT_TRUE(at::equal(parameters.gradients(), at::tensor({12.0, 4.0, 4.0})));
  parameters.zero_gradients();
  EXPECT_TRUE(at::equal(a.grad(), at::zeros({2}, at::kDouble)));
  EXPECT_EQ(parameters.num_decayed(), 1);
}

TEST(FlatParameters, AreTheModelsOwnTensors) {
  at::Tensor a = at::ones({2, 2}).requires_grad_();
  FlatParameters parameters({{"a", a, true}});
  {
    const at::NoGradGuard no_grad;
    parameters.values().mul_(3);
  }
  EXPECT_TRUE(at::equal(a.detach(), at::full({2, 2}, 3.0f)));
  parameters.load_values({{"a", at::full({2, 2}, 5.0, at::kDouble)}});
  EXPECT_TRUE(at::equal(parameters.named_values().at("a"), at::full({2, 2}, 5.0f)));
}

TEST(FlatParameters, KeepAFloat32MasterOfHalfPrecisionOnes) {
  at::Tensor a = at::ones({3}, at::kBFloat16).requires_grad_();
  FlatParameters parameters({{"a", a, true}});
  OptimSection section;
  AdamW optimizer(parameters, section);
  for (int step = 0; step < 40; ++step) {
    parameters.zero_gradients();
    a.sum().backward();
    parameters.collect_gradients();
    optimizer.step(1e-4);
  }
  // A single step of 1e-4 is lost in bfloat16, but forty add up in the master values.
  EXPECT_NEAR(parameters.values()[0].item<double>(), 1 - 40e-4, 1e-5);
  EXPECT_LT(a[0].item<double>(), 1);
}

TEST(FlatParameters, RefuseMixedTypesAndTensorsThatDoNotFit) {
  const at::Tensor single = at::ones({2}).requires_grad_(), twice = at::ones({2}, at::kDouble).requires_grad_();
  EXPECT_THROW(FlatParameters({{"a", single, true}, {"b", twice, true}}), InternalError);
  EXPECT_THROW(FlatParameters({}), InternalError);
  FlatParameters parameters({{"a", single, true}});
  EXPECT_THAT(
      [&] {
        parameters.load_values({{"a", at::ones({3})}});
      },
      ::testing::ThrowsMessage<Error>(HasSubstr("a has shape [3], expected [2]")));
  EXPECT_THAT([&] { parameters.load_values({}); }, ::testing::ThrowsMessage<Error>(HasSubstr("a is missing")));
}

TEST(AdamW, GoesOnFromASavedStateToTheLastBit) {
  const auto run = [](int64_t save_at) {
    at::Tensor a = at::arange(50, at::kFloat).requires_grad_();
    auto parameters = std::make_unique<FlatParameters>(std::vector<TrainedParameter>{{"a", a, true}});
    auto optimizer = std::make_unique<AdamW>(*parameters, golden_section());
    for (int64_t step = 0; step < 8; ++step) {
      if (step == save_at) {
        const auto state = optimizer->state();
        at::Tensor copy = a.detach().clone().requires_grad_();
        a = copy;
        parameters = std::make_unique<FlatParameters>(std::vector<TrainedParameter>{{"a", a, true}});
        optimizer = std::make_unique<AdamW>(*parameters, golden_section());
        optimizer->restore(state);
      }
      parameters->gradients().copy_((parameters->values() * 0.3).sin());
      optimizer->clip_gradients();
      optimizer->step(0.01);
    }
    return a.detach().clone();
  };
  EXPECT_TRUE(at::equal(run(4), run(-1)));
}

TEST(AdamW, RefusesAStateOfAnotherSize) {
  at::Tensor a = at::ones({3}).requires_grad_(), b = at::ones({4}).requires_grad_();
  FlatParameters small({{"a", a, true}}), large({{"b", b, true}});
  AdamW of_small(small, {}), of_large(large, {});
  EXPECT_THAT([&] { of_large.restore(of_small.state()); },
              ::testing::ThrowsMessage<Error>(HasSubstr("of shape [3], expected CPUFloatType of shape [4]")));
  EXPECT_THROW(of_small.restore({}), Error);
}

TEST(AdamW, ReportsANonFiniteNormAndLeavesSmallGradientsAlone) {
  at::Tensor a = at::ones({3}).requires_grad_();
  FlatParameters parameters({{"a", a, true}});
  OptimSection section;
  section.max_grad_norm = 1.0;
  AdamW optimizer(parameters, section);
  parameters.gradients().fill_(0.1);
  optimizer.clip_gradients();
  EXPECT_TRUE(at::equal(parameters.gradients(), at::full({3}, 0.1f)));
  parameters.gradients()[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(optimizer.clip_gradients()));
}

}  // namespace
}  // namespace lriad

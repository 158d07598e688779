#include "lriad/health/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

StepHealth health_of(double grad_norm, double kl = 0.01, double loss = 0.1) {
  StepHealth health;
  health.loss = loss;
  health.grad_norm = grad_norm;
  health.kl = kl;
  return health;
}

/// A guard that has accepted `count` steps with gradient norms around 1.
HealthGuard calm_guard(int count, const GuardSection& section = {}) {
  HealthGuard guard(section);
  for (int k = 0; k < count; ++k) {
    EXPECT_FALSE(guard.check(health_of(1 + 0.1 * std::sin(k), 0.01 + 0.001 * std::cos(k)))) << k;
  }
  return guard;
}

TEST(HealthGuard, TripsOnEveryMetricThatIsNotFinite) {
  HealthGuard guard{GuardSection{}};
  EXPECT_THAT(guard.check(health_of(1, 0, kNan)), Optional(HasSubstr("loss is not finite")));
  EXPECT_THAT(guard.check(health_of(kInf)), Optional(HasSubstr("gradient norm is not finite")));
  EXPECT_THAT(guard.check(health_of(1, kNan)), Optional(HasSubstr("KL is not finite")));
  StepHealth health = health_of(1);
  health.finite_logprobs = false;
  EXPECT_THAT(guard.check(health), Optional(HasSubstr("log-probability")));
  EXPECT_EQ(guard.num_trips(), 4);
}

TEST(HealthGuard, TripsAboveTheGivenLimits) {
  GuardSection section;
  section.max_kl = 0.5;
  section.max_grad_norm = 10;
  HealthGuard guard(section);
  EXPECT_FALSE(guard.check(health_of(10, 0.5)));
  EXPECT_THAT(guard.check(health_of(1, 0.6)), Optional(HasSubstr("KL is 0.6, above guard.max_kl 0.5")));
  EXPECT_THAT(guard.check(health_of(11)), Optional(HasSubstr("above guard.max_grad_norm 10")));
}

TEST(HealthGuard, TripsOnAnUpwardOutlierOnlyAfterTwentySteps) {
  EXPECT_FALSE(calm_guard(19).check(health_of(1000)));
  EXPECT_THAT(calm_guard(20).check(health_of(1000)), Optional(HasSubstr("gradient norm is 1000, an outlier")));
  EXPECT_THAT(calm_guard(20).check(health_of(1, 5)), Optional(HasSubstr("KL is 5, an outlier")));
  EXPECT_FALSE(calm_guard(20).check(health_of(1e-9, 1e-9)));
}

TEST(HealthGuard, TakesASmallChangeAfterASteadyPhaseForNoOutlier) {
  HealthGuard guard{GuardSection{}};
  for (int k = 0; k < 50; ++k) EXPECT_FALSE(guard.check(health_of(1.0)));
  EXPECT_FALSE(guard.check(health_of(1.5)));
  EXPECT_TRUE(guard.check(health_of(3.5)));
}

TEST(HealthGuard, DoesNotCountStepsWithoutAGradientAsUsual) {
  HealthGuard guard{GuardSection{}};
  for (int k = 0; k < 60; ++k) EXPECT_FALSE(guard.check(health_of(0, 0)));
  EXPECT_FALSE(guard.check(health_of(2, 0.5)));
}

TEST(HealthGuard, FollowsAKlThatGrowsSteadily) {
  HealthGuard guard{GuardSection{}};
  for (int k = 1; k <= 300; ++k) EXPECT_FALSE(guard.check(health_of(1, 1e-6 * k * k))) << k;
}

TEST(HealthGuard, DoesNotLearnFromStepsThatTripped) {
  GuardSection section;
  section.stop_after = 1000;
  HealthGuard guard = calm_guard(30, section);
  for (int k = 0; k < 50; ++k) EXPECT_TRUE(guard.check(health_of(1000)));
}

TEST(HealthGuard, IsOffForANullZscore) {
  GuardSection section;
  section.zscore = std::nullopt;
  EXPECT_FALSE(calm_guard(50, section).check(health_of(1e30)));
}

TEST(HealthGuard, StopsAfterTheGivenNumberOfTripsOrAtOnce) {
  HealthGuard skipping = calm_guard(30);
  for (int trip = 1; trip <= 5; ++trip) {
    EXPECT_FALSE(skipping.must_stop());
    skipping.check(health_of(kNan));
    skipping.check(health_of(1));
  }
  EXPECT_TRUE(skipping.must_stop());
  GuardSection section;
  section.on_trip = GuardAction::kStop;
  HealthGuard stopping(section);
  EXPECT_FALSE(stopping.must_stop());
  stopping.check(health_of(kNan));
  EXPECT_TRUE(stopping.must_stop());
}

TEST(HealthGuard, ForgetsTripsOfLongAgo) {
  HealthGuard guard{GuardSection{}};
  for (int k = 0; k < 4; ++k) guard.check(health_of(kNan));
  for (int k = 0; k < 100; ++k) guard.check(health_of(1));
  guard.check(health_of(kNan));
  EXPECT_FALSE(guard.must_stop());
}

TEST(HealthGuard, DecidesTheSameAfterItWasSavedAndRestored) {
  HealthGuard guard = calm_guard(77);
  guard.check(health_of(kNan));
  HealthGuard other{GuardSection{}};
  other.restore(guard.save());
  EXPECT_EQ(other.save(), guard.save());
  for (const double norm : {1.2, 3.0, 3.05, 3.1, 50.0}) {
    EXPECT_EQ(guard.check(health_of(norm)), other.check(health_of(norm)));
  }
  EXPECT_THROW(other.restore("{\"kl\": 3}"), Error);
  EXPECT_THROW(other.restore("nonsense"), Error);
}

}  // namespace
}  // namespace lriad

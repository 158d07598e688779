#include "lriad/health/guard.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/json.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::size_t kWindow = 100;
constexpr std::size_t kMinValues = 20;
constexpr double kLeastSpread = 0.25;  // smallest standard deviation, as a share of the mean

/// The value above which a metric is an outlier; null while too few values are known.
std::optional<double> outlier_limit(const std::deque<double>& values, double zscore) {
  if (values.size() < kMinValues) return std::nullopt;
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double spread = std::max(std::sqrt(squares / count), kLeastSpread * std::abs(mean));
  return mean + zscore * spread;
}

/// Zeros come from steps without a gradient (all rewards equal); they say nothing about the usual size.
void remember(std::deque<double>& values, double value) {
  if (value == 0) return;
  values.push_back(value);
  if (values.size() > kWindow) values.pop_front();
}

}  // namespace

HealthGuard::HealthGuard(const GuardSection& section) : section_(section) {}

std::optional<std::string> HealthGuard::reason(const StepHealth& health) const {
  if (!std::isfinite(health.loss)) return "loss is not finite";
  if (!std::isfinite(health.grad_norm)) return "gradient norm is not finite";
  if (!std::isfinite(health.kl)) return "KL is not finite";
  if (!health.finite_logprobs) return "a log-probability is not finite";
  if (section_.max_kl && health.kl > *section_.max_kl) {
    return concat("KL is ", health.kl, ", above guard.max_kl ", *section_.max_kl);
  }
  if (section_.max_grad_norm && health.grad_norm > *section_.max_grad_norm) {
    return concat("gradient norm is ", health.grad_norm, ", above guard.max_grad_norm ", *section_.max_grad_norm);
  }
  if (!section_.zscore) return std::nullopt;
  const auto outlier = [this](const char* name, double value,
                              const std::deque<double>& values) -> std::optional<std::string> {
    const std::optional<double> limit = outlier_limit(values, *section_.zscore);
    if (!limit || value <= *limit) return std::nullopt;
    return concat(name, " is ", value, ", an outlier: above ", *limit, ", which is guard.zscore ", *section_.zscore,
                  " deviations over the mean of the last ", values.size(), " steps");
  };
  if (auto text = outlier("KL", health.kl, kl_)) return text;
  return outlier("gradient norm", health.grad_norm, grad_norm_);
}

std::optional<std::string> HealthGuard::check(const StepHealth& health) {
  std::optional<std::string> why = reason(health);
  tripped_.push_back(why.has_value());
  if (tripped_.size() > kWindow) tripped_.pop_front();
  if (why) {
    ++num_trips_;
  } else {
    remember(kl_, health.kl);
    remember(grad_norm_, health.grad_norm);
  }
  return why;
}

bool HealthGuard::must_stop() const {
  const auto recent = static_cast<int64_t>(std::count(tripped_.begin(), tripped_.end(), true));
  if (recent == 0) return false;
  return section_.on_trip == GuardAction::kStop || recent >= section_.stop_after;
}

std::string HealthGuard::save() const {
  return nlohmann::json{{"kl", kl_}, {"grad_norm", grad_norm_}, {"tripped", tripped_}, {"num_trips", num_trips_}}
      .dump();
}

void HealthGuard::restore(const std::string& text) {
  try {
    const nlohmann::json saved = parse_json(text);
    kl_ = saved.at("kl").get<std::deque<double>>();
    grad_norm_ = saved.at("grad_norm").get<std::deque<double>>();
    tripped_ = saved.at("tripped").get<std::deque<bool>>();
    num_trips_ = whole_number(saved.at("num_trips"));
  } catch (const nlohmann::json::exception& error) {
    fail("health", "the saved state of the health guard cannot be read: ", error.what());
  }
}

}  // namespace lriad

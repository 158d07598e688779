#include "lriad/health/alarms.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/json.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

using MaybeFinding = std::optional<AlarmFinding>;

constexpr std::size_t kShort = 10, kMiddle = 20, kLong = 40;

std::string text_of(double value) {
  std::ostringstream out;
  out << std::setprecision(3) << value;
  return out.str();
}

/// Mean of `field` over samplings [begin, end).
double mean_of(const AlarmHistory& history, double RolloutMetrics::*field, std::size_t begin, std::size_t end) {
  double sum = 0;
  for (std::size_t k = begin; k < end; ++k) sum += history.samplings[k].*field;
  return sum / static_cast<double>(end - begin);
}

/// Mean of `field` over the newest kShort samplings; null if there are fewer.
std::optional<double> newest(const AlarmHistory& history, double RolloutMetrics::*field) {
  const std::size_t size = history.samplings.size();
  if (size < kShort) return std::nullopt;
  return mean_of(history, field, size - kShort, size);
}

/// Share of the well-formed answers that say "defect", for normal images and for defects, over the newest `count`
/// samplings. Null if there are fewer than kMiddle samplings or fewer than `least` well-formed answers to a class.
std::optional<std::array<double, 2>> says_defect(const AlarmHistory& history, std::size_t count, int64_t least) {
  const std::size_t size = history.samplings.size();
  if (size < kMiddle) return std::nullopt;
  std::array<double, 2> shares{};
  for (const std::size_t defect : {0u, 1u}) {
    int64_t well_formed = 0, says = 0;
    for (std::size_t k = size - std::min(size, count); k < size; ++k) {
      well_formed += history.samplings[k].well_formed[defect];
      says += history.samplings[k].says_defect[defect];
    }
    if (well_formed < least) return std::nullopt;
    shares[defect] = static_cast<double>(says) / static_cast<double>(well_formed);
  }
  return shares;
}

MaybeFinding duplicate_completions(const AlarmHistory& history, bool on) {
  const auto share = newest(history, &RolloutMetrics::duplicates);
  if (!share) return std::nullopt;
  return AlarmFinding{*share >= (on ? 0.9 : 0.95), concat("completions/duplicate_ratio is ", text_of(*share),
                                                          " over the last ", kShort, " samplings")};
}

MaybeFinding collapsed_entropy(const AlarmHistory& history, bool on) {
  const std::size_t size = history.samplings.size();
  if (size < kShort) return std::nullopt;
  double sum = 0;
  for (std::size_t k = size - kShort; k < size; ++k) {
    if (!history.samplings[k].entropy) return std::nullopt;
    sum += *history.samplings[k].entropy;
  }
  const double mean = sum / static_cast<double>(kShort);
  const double limit = std::max(0.01, 0.1 * history.first_entropy) * (on ? 1.5 : 1);
  return AlarmFinding{mean < limit, concat("entropy is ", text_of(mean), " nats a token over the last ", kShort,
                                           " samplings, was ", text_of(history.first_entropy), " at the start")};
}

MaybeFinding format_without_answers(const AlarmHistory& history, bool on) {
  const auto shares = says_defect(history, kLong, /*least=*/32);
  if (!shares) return std::nullopt;
  const double balanced = ((*shares)[1] + 1 - (*shares)[0]) / 2;
  const double format = mean_of(history, &RolloutMetrics::format, 0, history.samplings.size());
  return AlarmFinding{format >= (on ? 0.8 : 0.9) && balanced <= (on ? 0.6 : 0.55),
                      concat("over the last ", history.samplings.size(), " samplings ", text_of(format),
                             " of the completions are well-formed, and their balanced accuracy is ", text_of(balanced),
                             ", chance being 0.5")};
}

MaybeFinding length_hacking(const AlarmHistory& history, bool on) {
  const std::size_t size = history.samplings.size();
  if (size < kLong) return std::nullopt;
  const auto then = [&](double RolloutMetrics::*field) { return mean_of(history, field, 0, kShort); };
  const auto now = [&](double RolloutMetrics::*field) { return mean_of(history, field, size - kShort, size); };
  const auto gain = [&](double RolloutMetrics::*field) { return now(field) - then(field); };
  const double before = then(&RolloutMetrics::mean_length), after = now(&RolloutMetrics::mean_length);
  const double gained = std::max(gain(&RolloutMetrics::format), gain(&RolloutMetrics::accuracy));
  return AlarmFinding{after >= (on ? 1.3 : 1.5) * before && gained < 0.05,
                      concat("mean length went from ", text_of(before), " to ", text_of(after), " tokens within ", size,
                             " samplings; well-formed answers gained ", text_of(gain(&RolloutMetrics::format)),
                             ", right ones ", text_of(gain(&RolloutMetrics::accuracy)))};
}

MaybeFinding truncated_completions(const AlarmHistory& history, bool on) {
  const auto share = newest(history, &RolloutMetrics::truncated);
  if (!share) return std::nullopt;
  return AlarmFinding{*share >= (on ? 0.4 : 0.5),
                      concat(text_of(*share), " of the completions are cut off over the last ", kShort, " samplings")};
}

MaybeFinding one_class(const AlarmHistory& history, bool on) {
  const auto shares = says_defect(history, kMiddle, /*least=*/16);
  if (!shares) return std::nullopt;
  const double limit = on ? 0.95 : 0.98;
  const auto [lowest, highest] = std::ranges::minmax(*shares);
  return AlarmFinding{lowest >= limit || highest <= 1 - limit,
                      concat("well-formed answers say \"defect\" to ", text_of((*shares)[1]), " of the defects and to ",
                             text_of((*shares)[0]), " of the normal images over the last ", kMiddle, " samplings")};
}

nlohmann::json to_json(const RolloutMetrics& m) {
  return {m.duplicates,  m.entropy ? nlohmann::json(*m.entropy) : nlohmann::json(nullptr),
          m.format,      m.accuracy,
          m.mean_length, m.truncated,
          m.well_formed, m.says_defect};
}

constexpr double kMost = 1e9;  // larger than any metric; sums of such numbers cannot overflow

double number(const nlohmann::json& json) {
  const double value = json.get<double>();
  if (std::abs(value) > kMost) fail("health", "the saved state of the alarms holds ", value, ", expected a metric");
  return value;
}

int64_t count(const nlohmann::json& json) {
  const int64_t value = whole_number(json);
  if (value < 0 || value > static_cast<int64_t>(kMost)) {
    fail("health", "the saved state of the alarms holds ", value, ", expected a count");
  }
  return value;
}

RolloutMetrics from_json(const nlohmann::json& json) {
  RolloutMetrics m;
  m.duplicates = number(json.at(0));
  if (!json.at(1).is_null()) m.entropy = number(json.at(1));
  m.format = number(json.at(2));
  m.accuracy = number(json.at(3));
  m.mean_length = number(json.at(4));
  m.truncated = number(json.at(5));
  for (const std::size_t side : {0u, 1u}) {
    m.well_formed[side] = count(json.at(6).at(side));
    m.says_defect[side] = count(json.at(7).at(side));
  }
  return m;
}

}  // namespace

const std::array<AlarmRule, kNumAlarms>& alarm_rules() {
  static constexpr std::array<AlarmRule, kNumAlarms> kRules = {{
      {"duplicate_completions", duplicate_completions,
       "equal completions give no gradient: raise rollout.temperature, or check top_k, top_p and min_p"},
      {"collapsed_entropy", collapsed_entropy,
       "sampling no longer explores: raise rollout.temperature or grpo.beta, or lower optim.learning_rate"},
      {"format_without_answers", format_without_answers,
       "the model has learned the format but not the answer: check labels and image.max_pixels, or begin with a longer "
       "cold start"},
      {"length_hacking", length_hacking,
       "completions get longer but not better: use loss_type dr_grpo or dapo, a higher grpo.beta, or a lower "
       "rollout.max_completion_length"},
      {"truncated_completions", truncated_completions,
       "truncated answers are rarely rewarded: raise rollout.max_completion_length, or begin with a cold start"},
      {"one_class", one_class,
       "answers no longer depend on the image: use data.sampler class_balanced, another reward.focal, or a lower "
       "learning rate"},
  }};
  return kRules;
}

std::vector<AlarmChange> Alarms::observe(const RolloutMetrics& metrics) {
  history_.samplings.push_back(metrics);
  if (history_.samplings.size() > kLong) history_.samplings.pop_front();
  if (metrics.entropy && history_.first_count < static_cast<int64_t>(kShort)) {
    ++history_.first_count;
    history_.first_entropy += (*metrics.entropy - history_.first_entropy) / static_cast<double>(history_.first_count);
  }
  std::vector<AlarmChange> changes;
  for (std::size_t k = 0; k < kNumAlarms; ++k) {
    const AlarmRule& rule = alarm_rules()[k];
    const auto finding = rule.judge(history_, on_[k]);
    if (!finding || finding->holds == on_[k]) continue;
    on_[k] = finding->holds;
    changes.push_back({rule.name, on_[k], on_[k] ? concat(finding->why, "; ", rule.advice) : finding->why});
  }
  return changes;
}

std::vector<std::pair<std::string, bool>> Alarms::state() const {
  std::vector<std::pair<std::string, bool>> all;
  for (std::size_t k = 0; k < kNumAlarms; ++k) all.emplace_back(alarm_rules()[k].name, on_[k]);
  return all;
}

std::string Alarms::save() const {
  nlohmann::json samplings = nlohmann::json::array();
  for (const RolloutMetrics& metrics : history_.samplings) samplings.push_back(to_json(metrics));
  nlohmann::json on = nlohmann::json::array();
  for (const auto& [name, is_on] : state()) {
    if (is_on) on.push_back(name);
  }
  return nlohmann::json{{"samplings", samplings},
                        {"first_entropy", history_.first_entropy},
                        {"first_count", history_.first_count},
                        {"on", on}}
      .dump();
}

void Alarms::restore(const std::string& text) {
  try {
    const nlohmann::json saved = parse_json(text);
    AlarmHistory history;
    for (const nlohmann::json& metrics : saved.at("samplings")) history.samplings.push_back(from_json(metrics));
    history.first_entropy = number(saved.at("first_entropy"));
    history.first_count = count(saved.at("first_count"));
    const auto on = saved.at("on").get<std::vector<std::string>>();
    for (std::size_t k = 0; k < kNumAlarms; ++k) on_[k] = std::ranges::count(on, alarm_rules()[k].name) > 0;
    history_ = std::move(history);
  } catch (const nlohmann::json::exception& error) {
    fail("health", "the saved state of the alarms cannot be read: ", error.what());
  }
}

}  // namespace lriad

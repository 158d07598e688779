#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lriad {

/// Metrics of one sampling (the rollouts of one batch) over all ranks that the alarms depend on. Arrays hold the counts
/// for normal images and for images with a defect.
struct RolloutMetrics {
  double duplicates = 0;                 ///< mean over groups of (completions - distinct ones) / (completions - 1)
  std::optional<double> entropy;         ///< token mean in nats; null if no token has a weight
  double format = 0;                     ///< share of well-formed completions
  double accuracy = 0;                   ///< share of right completions
  double mean_length = 0;                ///< in tokens
  double truncated = 0;                  ///< share of truncated completions
  std::array<int64_t, 2> well_formed{};  ///< well-formed completions
  std::array<int64_t, 2> says_defect{};  ///< well-formed completions that answer "defect"
};

/// What the alarms remember.
struct AlarmHistory {
  std::deque<RolloutMetrics> samplings;  ///< the last 40
  double first_entropy = 0;              ///< mean entropy of the first 10 samplings, in nats
  int64_t first_count = 0;               ///< samplings in that mean so far, at most 10
};

/// Whether a rule holds, and a text with the metrics that show it.
struct AlarmFinding {
  bool holds = false;
  std::string why;
};

/// A way in which training fails although no single metric is invalid. `judge` is a pure function of the history. Its
/// limits are laxer while the alarm is `on`, so that an alarm does not go on and off repeatedly. Null: there are too
/// few samplings to decide, and the alarm stays as it is.
struct AlarmRule {
  const char* name;  ///< in metrics.jsonl as alarms/<name>
  std::optional<AlarmFinding> (*judge)(const AlarmHistory& history, bool on);
  const char* advice;  ///< what the user can do
};

inline constexpr std::size_t kNumAlarms = 6;

/// The rules:
/// - duplicate_completions: duplicates at least 0.95 over 10 samplings (off below 0.9)
/// - collapsed_entropy: mean over 10 samplings below 0.01 nats or a tenth of first_entropy (off at 1.5 times that)
/// - format_without_answers: 0.9 of the completions well-formed, but their balanced accuracy at most 0.55, over the
/// last
///   40 samplings; needs 20 samplings and 32 well-formed answers to each class (off below 0.8 or above 0.6)
/// - length_hacking: mean length of the newest 10 of 40 samplings at least 1.5 times that of the oldest 10, while the
///   shares of well-formed and of right answers each rose by less than 0.05 (off below 1.3)
/// - truncated_completions: half of all completions truncated over 10 samplings (off below 0.4)
/// - one_class: for both classes 0.98 of the well-formed answers say the same, over 20 samplings with at least 16
/// answers
///   to each class (off below 0.95)
const std::array<AlarmRule, kNumAlarms>& alarm_rules();

/// An alarm that has begun or ended.
struct AlarmChange {
  std::string name;
  bool on = false;
  std::string text;  ///< the metrics and, if it has begun, the advice
};

/// The alarms of a run. They depend on metrics over all ranks, so they are equal on every rank.
class Alarms {
 public:
  /// Adds one sampling to the history and returns the alarms that began or ended.
  std::vector<AlarmChange> observe(const RolloutMetrics& metrics);
  std::vector<std::pair<std::string, bool>> state() const;  ///< name and whether on, in the order of alarm_rules()
  std::string save() const;                                 ///< text for restore(), without loss of precision
  void restore(const std::string& text);                    ///< throws Error if malformed

 private:
  AlarmHistory history_;
  std::array<bool, kNumAlarms> on_{};
};

}  // namespace lriad

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lriad {

/// What the alarms look at of one sampling, over all ranks. Arrays: normal images, images with a defect.
struct RolloutMetrics {
  double duplicates = 0;          ///< mean over groups of (members - distinct ones) / (members - 1)
  std::optional<double> entropy;  ///< token mean, nats; null: no token counts
  double format = 0;              ///< share of well-formed completions
  double accuracy = 0;            ///< share of right ones
  double mean_length = 0;         ///< tokens
  double truncated = 0;           ///< share of completions cut off
  std::array<int64_t, 2> well_formed{};
  std::array<int64_t, 2> says_defect{};
};

/// What the alarms remember: the last 40 samplings and the mean entropy of the first 10.
struct AlarmHistory {
  std::deque<RolloutMetrics> samplings;
  double first_entropy = 0;  ///< mean so far, nats
  int64_t first_count = 0;   ///< samplings in it, 10 at most
};

/// Whether a rule holds, and the metrics that say so.
struct AlarmFinding {
  bool holds = false;
  std::string why;
};

/// A way in which a run goes wrong without any figure being out of range. `judge` is a pure function of the history;
/// its limits are laxer while the alarm is `on`, so that an alarm does not flicker. Null: not enough to go by, the
/// alarm stays as it is.
struct AlarmRule {
  const char* name;
  std::optional<AlarmFinding> (*judge)(const AlarmHistory& history, bool on);
  const char* advice;
};

inline constexpr std::size_t kNumAlarms = 6;

/// duplicate_completions: completions of a group nearly all equal, 0.95 over 10 samplings (off below 0.9)
/// collapsed_entropy: below 0.01 nats or a tenth of the first 10 samplings' mean, over 10 samplings (off at 1.5 times)
/// format_without_answers: 0.9 well-formed, yet their balanced accuracy is at most 0.55, over 40 samplings, at least 20
///   of them and 32 answers of each class (off below 0.8 or above 0.6)
/// length_hacking: mean length of the newest 10 samplings at least 1.5 times that of the oldest 10 of 40, while neither
///   well-formed nor right answers gained 0.05 (off below 1.3)
/// truncated_completions: half of all cut off, over 10 samplings (off below 0.4)
/// one_class: 0.98 of the well-formed answers say the same to either class, over 20 samplings, at least 16 answers of
///   each class (off below 0.95)
const std::array<AlarmRule, kNumAlarms>& alarm_rules();

/// An alarm that has begun or ended.
struct AlarmChange {
  std::string name;
  bool on = false;
  std::string text;  ///< begun: the metrics and what to do; ended: the metrics
};

/// The alarms of a run. All metrics are global, so they are alike on every rank.
class Alarms {
 public:
  /// Takes in one sampling and tells what changed.
  std::vector<AlarmChange> observe(const RolloutMetrics& metrics);
  std::vector<std::pair<std::string, bool>> state() const;  ///< name, on; in the order of alarm_rules()
  std::string save() const;                                 ///< compact text, exact
  void restore(const std::string& text);                    ///< throws Error if malformed

 private:
  AlarmHistory history_;
  std::array<bool, kNumAlarms> on_{};
};

}  // namespace lriad

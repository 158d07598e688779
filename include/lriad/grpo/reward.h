#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/core/verdict.h"

namespace lriad {

/// Reads a completion strictly: after removing one final end token (a string of `end_tokens`) and outer white space
/// (Python's str.strip), the whole text must be <think>(.*?)</think>\s*<answer>(.*?)</answer> with each tag once, and
/// the stripped answer A or (A) for a defect, B or (B) for a normal part. Anything else is kInvalid.
Verdict parse_answer(std::string_view text,
                     const std::vector<std::string>& end_tokens = {"<|im_end|>", "<|endoftext|>"});

/// Whether an answer agrees with the label.
bool is_right(Verdict answer, bool is_defect);

/// What the rewards of one completion depend on.
struct RewardInput {
  Verdict verdict = Verdict::kInvalid;
  std::optional<double> p_softmax;  ///< probability of the label's answer token against the other one; null if the
                                    ///< completion has no answer token
  std::optional<double> p_token;    ///< the same over the whole vocabulary
  int64_t length = 0;               ///< in tokens
};

/// What the rewards of a group depend on besides its completions.
struct RewardQuery {
  bool is_defect = false;             ///< the label
  double f = 1;                       ///< class factor of the focal reward, from class_factor()
  int64_t max_completion_length = 0;  ///< in tokens
};

/// Rewards of one completion.
struct Reward {
  std::vector<double> values;  ///< unweighted, in the order of reward_components()
  double total = 0;            ///< sum of weight * value
  std::optional<double> p;     ///< p of the focal reward as reward.focal.p defines it; null if it is undefined

  double value(std::string_view component) const;  ///< throws std::out_of_range for an unknown name
};

/// A term of the reward. `values` computes it for each completion of a group.
struct RewardComponent {
  const char* name;  ///< in metrics.jsonl as rewards/<name>/mean, in completions.jsonl as rewards.<name>
  double (*weight)(const RewardSection& section);  ///< its weight in the total reward
  std::vector<double> (*values)(const RewardSection& section, const std::vector<RewardInput>& group,
                                const RewardQuery& query);
};

/// All components: format and answer, which are always logged, then those that a run may turn on. src/README.md shows
/// how to add one.
std::span<const RewardComponent> reward_components();

/// Whether the component is computed and logged: its weight is not 0, or it is format or answer.
bool is_active(const RewardComponent& component, const RewardSection& section);

/// Numbers of normal and defective images in the training data, in all and per object; f depends on them.
struct ClassCounts {
  int64_t normal = 0;
  int64_t defect = 0;
  std::map<std::string, std::array<int64_t, 2>> objects;  ///< {normal, defect}
};

/// Recall over the last 256 completions of each class, for f_mode running_recall. It is saved in checkpoints.
class RunningRecall {
 public:
  void add(bool defect, bool right);               ///< `defect` is the label, `right` whether the answer was right
  double factor(std::optional<double> cap) const;  ///< clamp(recall normal / recall defect, 1, cap); 1 while unknown
  std::string save() const;                        ///< text for restore()
  void restore(const std::string& text);           ///< throws Error if malformed

 private:
  std::deque<bool> right_[2];
};

/// Class factor f of an image. With f_mode fixed it is reward.focal.f for all images. Otherwise it is 1 for normal
/// images and, for defects, follows f_mode up to f_cap: the ratio of normal to defective images in the training data
/// (dataset), its square root (sqrt_dataset), the ratio of the object (object), or RunningRecall::factor(). Source:
/// paper, eq. 5. Throws Error if `object` has no counts.
double class_factor(const FocalSection& focal, bool is_defect, const std::string& object, const ClassCounts& counts,
                    const RunningRecall& recall);

/// Rewards of the G completions of one prompt (paper, eq. 4). missed_cost or false_alarm_cost is subtracted from the
/// answer reward of each completion that is not right.
std::vector<Reward> score_group(const RewardSection& section, const std::vector<RewardInput>& group,
                                const RewardQuery& query);

/// Factor of the group's advantages: alpha (1 - p_group)^gamma f if reward.focal.where is advantage, else 1.
double advantage_weight(const RewardSection& section, const std::vector<RewardInput>& group, const RewardQuery& query);

}  // namespace lriad

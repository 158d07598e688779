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

/// Strict reading of a completion: after removing one final end token (the strings in `end_tokens`) and outer white
/// space (Python's str.strip), the whole text is <think>(.*?)</think>\s*<answer>(.*?)</answer>, with exactly one of
/// each tag, and the trimmed answer is A (defect), B (normal), (A) or (B). Anything else is kInvalid.
Verdict parse_answer(std::string_view text,
                     const std::vector<std::string>& end_tokens = {"<|im_end|>", "<|endoftext|>"});

/// Whether an answer says what the label says.
bool is_right(Verdict answer, bool is_defect);

/// What the rewards of one completion depend on.
struct RewardInput {
  Verdict verdict = Verdict::kInvalid;
  std::optional<double> p_softmax;  ///< softmax over the logits of the two answer tokens, of the label's token; null:
                                    ///< the completion has no answer token
  std::optional<double> p_token;    ///< probability of the label's answer token over the whole vocabulary
  int64_t length = 0;               ///< tokens
};

/// What the rewards of a group depend on besides its completions.
struct RewardQuery {
  bool is_defect = false;             ///< the label
  double f = 1;                       ///< class factor of the focal reward, from class_factor()
  int64_t max_completion_length = 0;  ///< tokens
};

/// Rewards of one completion.
struct Reward {
  std::vector<double> values;  ///< of each of reward_components(), unweighted
  double total = 0;            ///< sum of weight * value
  std::optional<double> p;     ///< the p that acted (reward.focal.p), null where undefined

  double value(std::string_view component) const;  ///< throws std::out_of_range for an unknown name
};

/// A term of the reward. `values` gives it for each completion of a group; a component of weight 0 is not computed.
struct RewardComponent {
  const char* name;  ///< in metrics.jsonl as rewards/<name>/mean, in completions.jsonl as rewards.<name>
  double (*weight)(const RewardSection& section);
  std::vector<double> (*values)(const RewardSection& section, const std::vector<RewardInput>& group,
                                const RewardQuery& query);
};

/// All components: format, answer (both always logged), then the optional ones. src/README.md shows how to add one.
std::span<const RewardComponent> reward_components();

/// Whether a run with these settings computes and logs the component.
bool is_active(const RewardComponent& component, const RewardSection& section);

/// Counts of the training data that f needs: normals and defects, in all and per object.
struct ClassCounts {
  int64_t normal = 0;
  int64_t defect = 0;
  std::map<std::string, std::array<int64_t, 2>> objects;  ///< {normal, defect}
};

/// Recall of the last 256 completions of each class (f_mode running_recall); saved in checkpoints.
class RunningRecall {
 public:
  void add(bool defect, bool right);
  double factor(std::optional<double> cap) const;  ///< clamp(recall normal / recall defect, 1, cap); 1 while unknown
  std::string save() const;                        ///< compact text
  void restore(const std::string& text);           ///< throws Error if malformed

 private:
  std::deque<bool> right_[2];
};

/// f of an image: 1 for normal ones; for defects by f_mode, capped by f_cap. Paper, eq. 5 and its "critical anomaly
/// regions"; N/D are normal and defective images of the training data.
double class_factor(const FocalSection& focal, bool is_defect, const std::string& object, const ClassCounts& counts,
                    const RunningRecall& recall);

/// Rewards of the G completions of one prompt. Paper, eq. 4; missed_cost or false_alarm_cost is taken from the answer
/// reward of every completion that is not right.
std::vector<Reward> score_group(const RewardSection& section, const std::vector<RewardInput>& group,
                                const RewardQuery& query);

/// Factor on the group's advantages for where: advantage, alpha (1 - p_group)^gamma f; 1 otherwise.
double advantage_weight(const RewardSection& section, const std::vector<RewardInput>& group, const RewardQuery& query);

}  // namespace lriad

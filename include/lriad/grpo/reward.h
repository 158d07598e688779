#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

/// What a completion says. `kInvalid`: not well formed.
enum class Answer { kNormal, kDefect, kInvalid };
const char* answer_name(Answer answer);  ///< "normal" | "defect" | "invalid"

/// Strict reading of interfaces' section 3: after removing one final end token (the strings in `end_tokens`) and outer
/// white space (Python's str.strip), the whole text is <think>(.*?)</think>\s*<answer>(.*?)</answer>, with exactly one
/// of each tag, and the trimmed answer is A, B, (A) or (B).
Answer parse_answer(std::string_view text,
                    const std::vector<std::string>& end_tokens = {"<|im_end|>", "<|endoftext|>"});

/// What the rewards of one completion depend on.
struct Scored {
  Answer answer = Answer::kInvalid;
  std::optional<double>
      p_softmax;                  ///< softmax over the two letter logits, of the label's letter; null: no answer token
  std::optional<double> p_token;  ///< probability of the label's letter over the whole vocabulary
};

struct Reward {
  double format = 0;
  double answer = 0;
  double total = 0;         ///< format_weight * format + answer_weight * answer
  std::optional<double> p;  ///< the p that acted (reward.focal.p), null where undefined
};

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

/// f of an image (interfaces 7.5): 1 for normal ones; for defects by f_mode, capped by f_cap.
double class_factor(const FocalSection& focal, bool is_defect, const std::string& object, const ClassCounts& counts,
                    const RunningRecall& recall);

/// Rewards of the G completions of one prompt. Paper, eq. 4, with all options of the contract; missed_cost or
/// false_alarm_cost is taken from the answer reward of all that are not right.
std::vector<Reward> score_group(const RewardSection& section, const std::vector<Scored>& group, bool is_defect,
                                double f);

/// Factor on the group's advantages for where: advantage, alpha (1 - p_group)^gamma f; 1 otherwise.
double advantage_weight(const RewardSection& section, const std::vector<Scored>& group, bool is_defect, double f);

}  // namespace lriad

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/grpo/reward.h"

namespace lriad {

/// What a completion deserves, said by hand and not by the parser that is being audited.
enum class AuditKind { kRight, kWrong, kIllFormed };

/// A completion that a policy might try.
struct AuditCase {
  std::string name;
  std::string text;
  AuditKind kind = AuditKind::kIllFormed;
  bool has_answer_token = false;  ///< the letter stands directly behind <answer>, so that p is defined
};

/// Well-formed and ill-formed completions for an image with or without a defect (right letter A or B).
std::vector<AuditCase> audit_cases(bool is_defect);

/// A case in a group of ordinary right and wrong answers.
struct AuditRow {
  AuditCase tried;
  Verdict verdict = Verdict::kInvalid;
  Reward reward;
  double advantage = 0;  ///< class weight included
};

/// One member of a group: `p` of the label's letter, null where the letter is hidden or missing.
struct AuditMember {
  AuditKind kind = AuditKind::kRight;
  std::optional<double> p;
};

/// A telling group with what each member is paid.
struct AuditGroup {
  std::string name;
  std::vector<AuditMember> members;
  std::vector<Reward> rewards;
  std::vector<double> advantages;
};

struct AuditClaim {
  std::string text;
  bool required = false;  ///< false: a choice of the method, worth knowing
  bool holds = true;
  std::string counter_example;  ///< empty if it holds
};

/// Index 0: a normal image, 1: one with a defect.
struct RewardAudit {
  std::array<std::vector<AuditRow>, 2> rows;
  std::array<std::vector<AuditGroup>, 2> groups;
  std::vector<AuditClaim> claims;
};

struct AuditSettings {
  RewardSection reward;
  GrpoSection grpo;
  int64_t num_generations = 4;
  int64_t max_completion_length = 256;
  double defect_factor = 1;  ///< f of a defect where f_mode takes it from the data; fixed: reward.focal.f
};

/// Puts the cases through parse_answer(), score_group(), group_advantages() and advantage_weight(), as a training step
/// does, and judges five claims, two of them required. With scale_rewards: batch, each group is taken for the whole
/// step.
RewardAudit audit_rewards(const AuditSettings& settings);

}  // namespace lriad

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/grpo/reward.h"

namespace lriad {

/// What a completion is, as written down by hand; the parser under audit has no part in it.
enum class AuditKind { kRight, kWrong, kIllFormed };

/// A completion that a policy might produce.
struct AuditCase {
  std::string name;
  std::string text;
  AuditKind kind = AuditKind::kIllFormed;
  bool has_answer_token = false;  ///< A or B directly follows <answer>, so that p is defined
};

/// Well-formed and ill-formed completions for an image with a defect (right answer A) or without (B).
std::vector<AuditCase> audit_cases(bool is_defect);

/// Result for a case in a group whose other completions are ordinary right and wrong answers.
struct AuditRow {
  AuditCase tried;
  Verdict verdict = Verdict::kInvalid;
  Reward reward;
  double advantage = 0;  ///< with the factor of advantage_weight()
};

/// One member of a group. `p` is the probability of the label's answer token, null if there is no answer token, as in
/// <answer>(A)</answer> ("letter hidden") or in an ill-formed completion.
struct AuditMember {
  AuditKind kind = AuditKind::kRight;
  std::optional<double> p;
};

/// A group that shows how the rules work, with the reward and advantage of each member.
struct AuditGroup {
  std::string name;
  std::vector<AuditMember> members;
  std::vector<Reward> rewards;
  std::vector<double> advantages;
};

/// A property of the reward and whether it holds.
struct AuditClaim {
  std::string text;       ///< the property
  bool required = false;  ///< false: methods differ in it, so it is only reported
  bool holds = true;
  std::string counter_example;  ///< empty if it holds
};

/// Results of the audit. Index 0 is for a normal image, 1 for one with a defect.
struct RewardAudit {
  std::array<std::vector<AuditRow>, 2> rows;
  std::array<std::vector<AuditGroup>, 2> groups;
  std::vector<AuditClaim> claims;
};

/// What is audited.
struct AuditSettings {
  RewardSection reward;
  GrpoSection grpo;
  int64_t num_generations = 4;
  int64_t max_completion_length = 256;
  double defect_factor = 1;  ///< f of a defect if f_mode takes it from the data; unused with f_mode fixed
};

/// Runs the cases through parse_answer(), score_group(), group_advantages() and advantage_weight(), as a training step
/// does, and checks five claims, three of them required. With scale_rewards: batch, each group is treated as the whole
/// batch.
RewardAudit audit_rewards(const AuditSettings& settings);

}  // namespace lriad

#include "lriad/grpo/reward_audit.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/grpo/advantage.h"

namespace lriad {
namespace {

constexpr double kRounding = 1e-9;
constexpr double kUsualRight = 0.6, kUsualWrong = 0.4;  // p of the label's answer token in ordinary answers
constexpr std::optional<double> kHidden = std::nullopt;

const char* image(bool is_defect) { return is_defect ? "a defect" : "a normal image"; }

std::string number(double value) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(4) << value;
  return out.str();
}

std::string p_text(std::optional<double> p) { return p ? concat("p ", number(*p).substr(0, 4)) : "letter hidden"; }

/// Rewards and advantages of a group's members, and the factor that the advantages include.
struct Paid {
  std::vector<Reward> rewards;
  std::vector<double> advantages;
  double weight = 1;
};

/// Computes rewards and advantages by the settings under audit.
class Rules {
 public:
  explicit Rules(const AuditSettings& settings) : settings_(settings) {}

  double factor(bool is_defect) const {
    const FocalSection& focal = settings_.reward.focal;
    if (focal.f_mode == FocalF::kFixed) return focal.f;
    if (!is_defect) return 1;
    return focal.f_cap ? std::min(settings_.defect_factor, *focal.f_cap) : settings_.defect_factor;
  }

  Paid pay(const std::vector<RewardInput>& group, bool is_defect) const {
    const RewardQuery query{is_defect, factor(is_defect), settings_.max_completion_length};
    Paid paid;
    paid.rewards = score_group(settings_.reward, group, query);
    paid.weight = advantage_weight(settings_.reward, group, query);
    std::vector<double> totals;
    for (const Reward& reward : paid.rewards) totals.push_back(reward.total);
    paid.advantages = group_advantages({totals}, settings_.grpo).front();
    for (double& advantage : paid.advantages) advantage *= paid.weight;
    return paid;
  }

  Paid pay(const std::vector<AuditMember>& members, bool is_defect) const {
    std::vector<RewardInput> group;
    for (const AuditMember& member : members) group.push_back(scored(member, is_defect));
    return pay(group, is_defect);
  }

  /// Fills the group up to its size with ordinary wrong and right answers in turn.
  void fill(std::vector<RewardInput>& group, bool is_defect) const {
    while (static_cast<int64_t>(group.size()) < settings_.num_generations) {
      const bool right = group.size() % 2 == 1;
      group.push_back(
          scored({right ? AuditKind::kRight : AuditKind::kWrong, right ? kUsualRight : kUsualWrong}, is_defect));
    }
  }

  static RewardInput scored(const AuditMember& member, bool is_defect) {
    if (member.kind == AuditKind::kIllFormed) return {Verdict::kInvalid, member.p, member.p, 0};
    const bool says_defect = (member.kind == AuditKind::kRight) == is_defect;
    return {says_defect ? Verdict::kDefect : Verdict::kNormal, member.p, member.p, 0};
  }

  int64_t num_generations() const { return settings_.num_generations; }

 private:
  const AuditSettings& settings_;
};

AuditRow try_case(const Rules& rules, const AuditCase& tried, bool is_defect, std::optional<double> p) {
  AuditRow row{tried, parse_answer(tried.text), {}, 0};
  std::vector<RewardInput> group = {{row.verdict, p, p, 0}};
  rules.fill(group, is_defect);
  const Paid paid = rules.pay(group, is_defect);
  row.reward = paid.rewards.front();
  row.advantage = paid.advantages.front();
  return row;
}

std::vector<AuditRow> rows_of(const Rules& rules, bool is_defect) {
  std::vector<AuditRow> rows;
  for (const AuditCase& tried : audit_cases(is_defect)) {
    const double usual = tried.kind == AuditKind::kWrong ? kUsualWrong : kUsualRight;
    rows.push_back(try_case(rules, tried, is_defect, tried.has_answer_token ? std::optional(usual) : kHidden));
  }
  return rows;
}

/// A group of the given members, shortened to the group's size or filled up with copies of the last one.
AuditGroup group_of(const Rules& rules, const std::string& name, std::vector<AuditMember> members, bool is_defect) {
  members.resize(static_cast<std::size_t>(rules.num_generations()), members.back());
  const Paid paid = rules.pay(members, is_defect);
  return {name, members, paid.rewards, paid.advantages};
}

std::vector<AuditGroup> groups_of(const Rules& rules, bool is_defect) {
  const AuditMember right{AuditKind::kRight, kUsualRight}, wrong{AuditKind::kWrong, kUsualWrong};
  const AuditMember ill{AuditKind::kIllFormed, kHidden}, sure{AuditKind::kRight, 0.95};
  std::vector<AuditGroup> groups;
  const auto add = [&](const char* name, std::vector<AuditMember> members) {
    groups.push_back(group_of(rules, name, std::move(members), is_defect));
  };
  add("a sure right answer and an unsure one", {sure, wrong, {AuditKind::kRight, 0.55}, wrong});
  add("one right", {right, wrong});
  add("one wrong", {wrong, right});
  add("one wrong among sure ones", {wrong, {AuditKind::kRight, 0.99}});
  add("one ill-formed among right ones", {ill, right});
  add("one ill-formed among wrong ones", {ill, wrong});
  add("all right", {{AuditKind::kRight, 0.9}, {AuditKind::kRight, 0.8}, {AuditKind::kRight, 0.7}, right});
  add("all wrong", {wrong, {AuditKind::kWrong, 0.3}, {AuditKind::kWrong, 0.2}, {AuditKind::kWrong, 0.1}});
  return groups;
}

AuditClaim nothing_ill_formed_is_paid(const Rules& rules) {
  AuditClaim claim{"nothing ill-formed is paid", /*required=*/true, true, ""};
  for (const bool is_defect : {true, false}) {
    for (const AuditCase& tried : audit_cases(is_defect)) {
      if (tried.kind != AuditKind::kIllFormed) continue;
      for (const std::optional<double> p : {kHidden, {0.0}, {0.05}, {0.5}, {0.95}, {1.0}}) {
        const AuditRow row = try_case(rules, tried, is_defect, p);
        const bool paid = row.reward.value("format") > 0 || row.reward.total > kRounding || row.advantage > kRounding;
        if (row.verdict == Verdict::kInvalid && !paid) continue;
        claim.holds = false;
        claim.counter_example =
            concat("for ", image(is_defect), ": ", tried.name, ", read as ", verdict_name(row.verdict), ", has reward ",
                   number(row.reward.total), ", advantage ", number(row.advantage));
        return claim;
      }
    }
  }
  return claim;
}

/// Describes how the order right > wrong > ill-formed is violated in a group of these three and ordinary answers; empty
/// if it is not.
std::string disorder(const Rules& rules, const std::array<AuditMember, 3>& three, bool is_defect) {
  std::vector<RewardInput> group;
  for (const AuditMember& member : three) group.push_back(Rules::scored(member, is_defect));
  rules.fill(group, is_defect);
  const Paid paid = rules.pay(group, is_defect);
  const std::array<std::string, 3> names = {concat("a right answer (", p_text(three[0].p), ")"),
                                            concat("a wrong one (", p_text(three[1].p), ")"), "an ill-formed one"};
  for (std::size_t k = 0; k < 2; ++k) {
    const double better = paid.rewards[k].total, worse = paid.rewards[k + 1].total;
    // With a factor of 0 all advantages are 0, so the order of advantages does not matter.
    const bool ordered = paid.weight == 0 || paid.advantages[k] > paid.advantages[k + 1] + kRounding;
    if (better > worse + kRounding && ordered) continue;
    return concat("for ", image(is_defect), ": ", names[k], " has reward ", number(better), ", ", names[k + 1], " ",
                  number(worse), "; advantages ", number(paid.advantages[k]), " and ", number(paid.advantages[k + 1]));
  }
  return "";
}

AuditClaim right_above_wrong_above_invalid(const Rules& rules) {
  AuditClaim claim{"right > wrong > invalid", /*required=*/true, true, ""};
  for (const bool is_defect : {true, false}) {
    for (const std::optional<double> right : {std::optional(0.5), {0.05}, {0.95}, {1.0}, kHidden}) {
      for (const std::optional<double> wrong : {std::optional(0.5), {0.05}, {0.95}, {0.0}, kHidden}) {
        for (const std::optional<double> ill : {kHidden, {0.05}, {0.95}, {1.0}}) {
          claim.counter_example =
              disorder(rules, {{{AuditKind::kRight, right}, {AuditKind::kWrong, wrong}, {AuditKind::kIllFormed, ill}}},
                       is_defect);
          claim.holds = claim.counter_example.empty();
          if (!claim.holds) return claim;
        }
      }
    }
  }
  return claim;
}

AuditClaim all_right_is_left_alone(const Rules& rules) {
  AuditClaim claim{"a group of right answers is left alone", /*required=*/false, true, ""};
  const std::vector<AuditMember> members = {{AuditKind::kRight, 0.9}, {AuditKind::kRight, 0.6}};
  const Paid paid = rules.pay(members, /*is_defect=*/true);
  if (std::abs(paid.advantages[0]) <= kRounding) return claim;
  claim.holds = false;
  claim.counter_example = concat("of two right answers the one of p 0.90 has advantage ", number(paid.advantages[0]),
                                 ", the one of p 0.60 ", number(paid.advantages[1]));
  return claim;
}

double pull(const std::vector<double>& advantages) {
  return std::accumulate(advantages.begin(), advantages.end(), 0.0,
                         [](double sum, double advantage) { return sum + std::abs(advantage); });
}

AuditClaim the_class_factor_acts(const Rules& rules) {
  AuditClaim claim{"a defect weighs more than a normal image", /*required=*/false, true, ""};
  std::array<double, 2> pulls{};
  for (const bool is_defect : {false, true}) {
    const AuditMember right{AuditKind::kRight, kUsualRight}, wrong{AuditKind::kWrong, kUsualWrong};
    pulls[is_defect ? 1 : 0] = pull(group_of(rules, "", {right, wrong}, is_defect).advantages);
  }
  if (pulls[1] > 1.05 * pulls[0]) return claim;
  claim.holds = false;
  claim.counter_example = concat("f is ", number(rules.factor(true)), " for a defect, ", number(rules.factor(false)),
                                 " for a normal image; the advantages of one right answer among wrong ones add up to ",
                                 number(pulls[1]), " and ", number(pulls[0]));
  return claim;
}

/// An answer (A) has no answer token and so no p. Writing it instead of A must not raise the advantage.
AuditClaim hiding_the_letter_gains_nothing(const Rules& rules) {
  AuditClaim claim{"hiding the letter, as (A), gains nothing", /*required=*/true, true, ""};
  for (const AuditKind kind : {AuditKind::kRight, AuditKind::kWrong}) {
    for (const double others : {0.3, 0.6, 0.99}) {
      const bool right = kind == AuditKind::kRight;
      const AuditMember open{kind, right ? 0.6 : 0.3};
      const AuditMember other{right ? AuditKind::kWrong : AuditKind::kRight, others};
      const double shown = group_of(rules, "", {open, other}, true).advantages.front();
      const double hidden = group_of(rules, "", {{kind, kHidden}, other}, true).advantages.front();
      if (hidden <= shown + kRounding) continue;
      claim.holds = false;
      claim.counter_example = concat("a ", right ? "right" : "wrong", " answer (", p_text(open.p), ") among ",
                                     right ? "wrong" : "right", " ones of ", p_text(others), " has advantage ",
                                     number(shown), ", with its letter hidden ", number(hidden));
      return claim;
    }
  }
  return claim;
}

}  // namespace

RewardAudit audit_rewards(const AuditSettings& settings) {
  const Rules rules(settings);
  RewardAudit audit;
  for (const bool is_defect : {false, true}) {
    audit.rows[is_defect ? 1 : 0] = rows_of(rules, is_defect);
    audit.groups[is_defect ? 1 : 0] = groups_of(rules, is_defect);
  }
  audit.claims = {nothing_ill_formed_is_paid(rules), right_above_wrong_above_invalid(rules),
                  all_right_is_left_alone(rules), the_class_factor_acts(rules), hiding_the_letter_gains_nothing(rules)};
  return audit;
}

}  // namespace lriad

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lriad/config/load_config.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/grpo/reward_audit.h"
#include "tool_commands.h"

namespace lriad {
namespace {

using nlohmann::ordered_json;

constexpr std::array<const char*, 2> kImages = {"normal", "defect"};
constexpr std::array<const char*, 3> kKinds = {"right", "wrong", "ill_formed"};
constexpr std::size_t kShownText = 200;  // bytes of each completion's text in the JSON

struct AuditOptions {
  std::vector<std::string> configs, sets;
  std::string preset, json;
  double class_factor = 3.26;
  bool strict = false;
};

AuditSettings settings_of(const AuditOptions& options) {
  ConfigInput input;
  input.use = ConfigUse::kRewards;
  input.files.assign(options.configs.begin(), options.configs.end());
  input.sets = options.sets;
  if (!options.preset.empty()) input.options.push_back({"--preset", "preset=" + options.preset});
  if (input.files.empty() && input.sets.empty() && input.options.empty()) {
    fail("app", "no rewards given, expected --config FILE, --preset NAME or --set key=value");
  }
  if (options.class_factor <= 0) fail("app", "--class-factor is ", options.class_factor, ", expected more than 0");
  const Config config = load_config(input).config;
  if (config.stage != Stage::kGrpo) fail("app", "stage is sft, which has no rewards; give a config of stage grpo");
  return {config.reward, config.grpo, config.rollout.num_generations, config.rollout.max_completion_length,
          options.class_factor};
}

std::string fixed(double value) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(3) << (std::abs(value) < 5e-4 ? 0.0 : value);
  return out.str();
}

const char* reading(const AuditRow& row, bool is_defect) {
  if (row.verdict == Verdict::kInvalid) return "invalid";
  return is_right(row.verdict, is_defect) ? "right" : "wrong";
}

void print_rows(const RewardAudit& audit) {
  std::cout << std::left << std::setw(40) << "" << std::setw(9) << "read"
            << "image with a defect" << std::string(16, ' ') << "normal image\n"
            << std::setw(40) << "completion" << std::setw(9) << "as";
  for (int image = 0; image < 2; ++image) {
    std::cout << std::right << std::setw(image == 0 ? 7 : 10) << "format" << std::setw(8) << "answer" << std::setw(8)
              << "reward" << std::setw(11) << "advantage";
  }
  std::cout << "\n";
  for (std::size_t k = 0; k < audit.rows[1].size(); ++k) {
    const AuditRow& defect = audit.rows[1][k];
    std::cout << std::left << std::setw(40) << defect.tried.name << std::setw(9) << reading(defect, true);
    for (const AuditRow* row : {&defect, &audit.rows[0][k]}) {
      std::cout << std::right << std::setw(row == &defect ? 7 : 10) << fixed(row->reward.value("format"))
                << std::setw(8) << fixed(row->reward.value("answer")) << std::setw(8) << fixed(row->reward.total)
                << std::setw(11) << fixed(row->advantage);
    }
    std::cout << "\n";
  }
}

std::string member_text(const AuditMember& member) {
  if (member.kind == AuditKind::kIllFormed) return "x";
  const std::string letter = member.kind == AuditKind::kRight ? "r" : "w";
  return member.p ? letter + fixed(*member.p).substr(1, 3) : letter;
}

void print_groups(const RewardAudit& audit) {
  std::cout << "\nWhole groups of an image with a defect (r.95: right, p of the right letter 0.95; w: wrong; x: "
               "ill-formed)\n";
  for (const AuditGroup& group : audit.groups[1]) {
    std::cout << "  " << group.name << "\n";
    std::ostringstream members, rewards, advantages;
    for (std::size_t k = 0; k < group.members.size(); ++k) {
      members << std::setw(8) << member_text(group.members[k]);
      rewards << std::setw(8) << fixed(group.rewards[k].total);
      advantages << std::setw(8) << fixed(group.advantages[k]);
    }
    std::cout << "             " << members.str() << "\n    reward   " << rewards.str() << "\n    advantage"
              << advantages.str() << "\n";
  }
}

void print_claims(const RewardAudit& audit) {
  for (const bool required : {true, false}) {
    std::cout << (required ? "\nVerdicts\n" : "\nChoices of the method, worth knowing\n");
    for (const AuditClaim& claim : audit.claims) {
      if (claim.required != required) continue;
      std::cout << "  " << std::left << std::setw(45) << claim.text << (claim.holds ? "yes" : "no") << "\n";
      if (!claim.holds) std::cout << "    " << claim.counter_example << "\n";
    }
  }
}

ordered_json rows_json(const std::vector<AuditRow>& rows, bool is_defect) {
  ordered_json list = ordered_json::array();
  for (const AuditRow& row : rows) {
    list.push_back({{"completion", row.tried.name},
                    {"deserves", kKinds.at(static_cast<std::size_t>(row.tried.kind))},
                    {"read_as", reading(row, is_defect)},
                    {"format", row.reward.value("format")},
                    {"answer", row.reward.value("answer")},
                    {"reward", row.reward.total},
                    {"advantage", row.advantage},
                    {"text", row.tried.text.substr(0, kShownText)}});
  }
  return list;
}

ordered_json groups_json(const std::vector<AuditGroup>& groups) {
  ordered_json list = ordered_json::array();
  for (const AuditGroup& group : groups) {
    ordered_json members = ordered_json::array();
    for (std::size_t k = 0; k < group.members.size(); ++k) {
      const std::optional<double> p = group.members[k].p;
      members.push_back({{"kind", kKinds.at(static_cast<std::size_t>(group.members[k].kind))},
                         {"p", p ? ordered_json(*p) : ordered_json(nullptr)},
                         {"reward", group.rewards[k].total},
                         {"advantage", group.advantages[k]}});
    }
    list.push_back({{"group", group.name}, {"members", members}});
  }
  return list;
}

std::string json_of(const RewardAudit& audit) {
  ordered_json claims = ordered_json::array();
  for (const AuditClaim& claim : audit.claims) {
    claims.push_back({{"claim", claim.text},
                      {"required", claim.required},
                      {"holds", claim.holds},
                      {"counter_example", claim.counter_example}});
  }
  ordered_json report = {{"claims", claims}};
  for (const std::size_t image : {1u, 0u}) {
    report["completions"][kImages.at(image)] = rows_json(audit.rows.at(image), image == 1);
    report["groups"][kImages.at(image)] = groups_json(audit.groups.at(image));
  }
  return report.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

void audit(const AuditOptions& options) {
  const RewardAudit result = audit_rewards(settings_of(options));
  print_rows(result);
  print_groups(result);
  print_claims(result);
  if (!options.json.empty()) write_file_atomic("app", options.json, json_of(result));
  const auto failed = std::ranges::find_if(result.claims, [](const AuditClaim& c) { return c.required && !c.holds; });
  if (options.strict && failed != result.claims.end()) {
    fail("app", "--strict: it does not hold that ", failed->text, ": ", failed->counter_example,
         "; change the keys of reward and grpo, or do without --strict");
  }
}

const char* const kFooter =
    "About 60 completions that a policy may try, most of them to be paid without answering, go through the parser, "
    "the\n"
    "rewards and the advantages of training, without a model or data. Each stands in a group of "
    "rollout.num_generations\n"
    "among ordinary answers, in turn right (p 0.6) and wrong (p 0.4); p is the model's probability of the right "
    "letter.\n"
    "format and answer are the two rewards, reward their weighted sum, and the advantage is what the update "
    "multiplies\n"
    "the completion's tokens with. Then come whole groups, and two verdicts with a counter-example where they fail:\n"
    "  nothing ill-formed is paid   it gets no reward and no advantage above 0, however sure the model is\n"
    "  right > wrong > invalid      in rewards and in advantages, at any p, also where the letter is hidden as (A)\n"
    "and what else follows from the chosen form. Exit code 0 once audited; with --strict 2 if a verdict fails.\n"
    "Example: lriad-tool audit-rewards --preset lriad_paper --set reward.focal.wrong=penalty\n";

}  // namespace

void add_audit_rewards_command(CLI::App& app) {
  const auto options = std::make_shared<AuditOptions>();
  CLI::App* command =
      app.add_subcommand("audit-rewards", "Shows who is paid what by the rewards of a config or preset");
  command->footer(kFooter);
  command->add_option("--config", options->configs, "YAML file of a run; may be given again, later files win")
      ->allow_extra_args(false);
  command->add_option("--set", options->sets, "key.sub=value, over the files; may be given again")
      ->allow_extra_args(false);
  command->add_option("--preset", options->preset,
                      "lriad_paper, lriad, visual_rft, trl_grpo, ...: instead of a config, or over its preset");
  command
      ->add_option("--class-factor", options->class_factor,
                   "normals / defects of the data, taken as f of a defect where reward.focal.f_mode is not fixed "
                   "(MVTec-AD 3.26, VisA 8.02)")
      ->capture_default_str();
  command->add_option("--json", options->json, "file for the same as JSON, with the texts' first 200 bytes");
  command->add_flag("--strict", options->strict, "exit code 2 if a verdict fails (default: off)");
  command->callback([options] { audit(*options); });
}

}  // namespace lriad

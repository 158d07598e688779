#include "presets.h"

#include <map>

namespace lriad {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

/// The method as printed: eq. 4 for the reward, 7 for the advantage, 9 for the loss. The reference is `old`, as eq. 9
/// is written: the KL term is then 0 in value and gradient at num_iterations 1.
Settings lriad_paper() {
  return {{"reward.format_weight", "1.0"}, {"reward.answer_weight", "1.0"}, {"reward.answer", "focal"},
          {"reward.focal.f", "1.0"},       {"reward.focal.wrong", "zero"},  {"reward.focal.where", "reward"},
          {"grpo.std", "population"},      {"grpo.advantage_eps", "1e-4"},  {"grpo.policy_loss", "logp"},
          {"grpo.loss_type", "grpo"},      {"grpo.kl_anchor", "old"},       {"grpo.beta", "0.04"}};
}

/// Ours, as the benchmark of rewards supports it (tests/bench/README.md): the rare class is drawn as
/// often as the common one and paid plainly. Weights on top gained nothing sure there, and f = N/D ended at "defect"
/// for everything. The learning rate is one for LoRA, chosen by public recipes of GRPO with LoRA on Qwen-VL (VLM-R1
/// 1e-5, verl 3e-6; in TRL's issue 2872 5e-7 learned nothing), not by a measurement here.
Settings lriad() {
  return {{"data.sampler", "class_balanced"}, {"reward.format_weight", "1.0"},
          {"reward.answer_weight", "1.0"},    {"reward.answer", "accuracy"},
          {"grpo.std", "unbiased"},           {"grpo.advantage_eps", "1e-4"},
          {"grpo.policy_loss", "ratio"},      {"grpo.loss_type", "dapo"},
          {"grpo.kl_anchor", "base"},         {"grpo.beta", "0.04"},
          {"optim.learning_rate", "1e-5"}};
}

/// Visual-RFT: strict match, no clipping.
Settings visual_rft() {
  return {{"reward.format_weight", "1.0"}, {"reward.answer_weight", "1.0"}, {"reward.answer", "accuracy"},
          {"grpo.std", "unbiased"},        {"grpo.advantage_eps", "1e-4"},  {"grpo.policy_loss", "ratio"},
          {"grpo.loss_type", "grpo"},      {"grpo.kl_anchor", "base"},      {"grpo.beta", "0.04"},
          {"grpo.epsilon", "null"}};
}

/// TRL's GRPOTrainer with one of its normalisers; rewards are the user's.
Settings trl(const std::string& loss_type) {
  return {{"grpo.std", "unbiased"},      {"grpo.advantage_eps", "1e-4"}, {"grpo.policy_loss", "ratio"},
          {"grpo.loss_type", loss_type}, {"grpo.kl_anchor", "base"},     {"grpo.beta", "0.0"},
          {"grpo.epsilon", "0.2"}};
}

const std::map<std::string, Settings, std::less<>>& table() {
  static const std::map<std::string, Settings, std::less<>> presets = {
      {"lriad_paper", lriad_paper()}, {"lriad", lriad()},        {"visual_rft", visual_rft()},
      {"trl_grpo", trl("grpo")},      {"trl_bnpo", trl("bnpo")}, {"trl_dr_grpo", trl("dr_grpo")},
      {"trl_dapo", trl("dapo")}};
  return presets;
}

}  // namespace

const std::vector<std::pair<std::string, std::string>>& preset_settings(std::string_view name) {
  static const Settings none;
  const auto found = table().find(name);
  return found == table().end() ? none : found->second;
}

const char* preset_rule(const std::string& name) {
  return table().contains(name) ? nullptr
                                : "lriad_paper, lriad, visual_rft, trl_grpo, trl_bnpo, trl_dr_grpo or trl_dapo";
}

}  // namespace lriad

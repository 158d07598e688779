#include "rollouts.h"

#include <algorithm>

#include "group_metrics.h"
#include "lriad/generation/generate.h"
#include "lriad/grpo/advantage.h"
#include "lriad/grpo/answers.h"

namespace lriad {
namespace {

ClassCounts count_classes(const Dataset& data) {
  ClassCounts counts;
  for (const Sample& sample : data.samples) {
    const bool defect = sample.label == Verdict::kDefect;
    ++(defect ? counts.defect : counts.normal);
    ++counts.objects[sample.object][defect ? 1 : 0];
  }
  return counts;
}

}  // namespace

Rollouts::Rollouts(RunContext& context, Communicator& communicator, PhaseClock& clock)
    : batches(context, communicator.rank(), communicator.size()),
      context_(context),
      config_(context.config),
      communicator_(communicator),
      clock_(clock),
      class_counts_(count_classes(context.data)) {}

std::vector<Group> Rollouts::sample(int64_t batch, int64_t step) {
  clock_.enter("data");
  std::vector<Group> groups;
  std::vector<BatchPrompt> prompts = batches.take(batch);
  clock_.enter("vision");
  take_features(context_.features, prompts);
  for (BatchPrompt& prompt : prompts) {
    const Sample& sample = context_.data.samples[static_cast<std::size_t>(prompt.sample.index)];
    Group& group = groups.emplace_back();
    group.prompt_index = prompt.prompt_index;
    group.sample_index = prompt.sample.index;
    group.sample_id = sample.id;
    group.is_defect = sample.label == Verdict::kDefect;
    group.prompt_ids = std::move(prompt.sample.prompt_ids);
    group.grids = prompt.sample.grids();
    group.reference_images = std::move(prompt.sample.reference_images);
    group.features_ID = prompt.features_ID;
    if (context_.trains_tower) group.patches = prompt.sample.pixel_values();
    prompt.sample = {};
  }
  std::vector<Group*> all;
  for (Group& group : groups) all.push_back(&group);
  generate(all, step, /*attempt=*/0);
  return groups;
}

void Rollouts::generate(const std::vector<Group*>& groups, int64_t step, int64_t attempt) {
  clock_.enter("rollout");
  const RolloutSection& section = config_.rollout;
  GenerationSettings settings;
  settings.sampler = {section.temperature, section.top_k, section.top_p, section.min_p, {}};
  if (section.ban_vision_tokens) settings.sampler.banned = context_.model->config().banned_ids();
  settings.num_generations = section.num_generations;
  settings.max_new_tokens = section.max_completion_length;
  settings.seed = config_.seed;
  settings.answer_tokens = {context_.answer_tokens.a, context_.answer_tokens.b};
  settings.keep_allowed = section.renormalise;
  settings.each_token = [this] { communicator_.check(); };
  std::vector<GenerationPrompt> prompts;
  for (const Group* group : groups) {
    prompts.push_back({group->prompt_ids, group->grids, group->features_ID, static_cast<uint32_t>(step),
                       static_cast<uint32_t>(group->prompt_index),
                       static_cast<uint32_t>(attempt * section.num_generations)});
  }
  auto completions = lriad::generate(context_.model, prompts, settings);
  for (std::size_t k = 0; k < groups.size(); ++k) {
    groups[k]->completions.clear();
    for (Completion& completion : completions[k]) groups[k]->completions.emplace_back(std::move(completion));
  }
}

void Rollouts::score(std::vector<Group>& groups) {
  clock_.enter("score");
  for (Group& group : groups) score(group);
}

void Rollouts::score(Group& group) {
  const Sample& sample = context_.data.samples[static_cast<std::size_t>(group.sample_index)];
  const double f = class_factor(config_.reward.focal, group.is_defect, sample.object, class_counts_, recall);
  const RewardQuery query{group.is_defect, f, config_.rollout.max_completion_length};
  std::vector<RewardInput> inputs;
  for (GroupCompletion& completion : group.completions) {
    completion.text = context_.tokenizer.decode(completion.ids, /*skip_special=*/true);
    inputs.push_back(reward_input(context_.tokenizer, context_.answer_tokens, completion, group.is_defect));
    completion.verdict = inputs.back().verdict;
  }
  const std::vector<Reward> rewards = score_group(config_.reward, inputs, query);
  for (std::size_t i = 0; i < rewards.size(); ++i) group.completions[i].reward = rewards[i];
  group.advantage_factor = advantage_weight(config_.reward, inputs, query);
}

bool Rollouts::needs_resampling(const Group& group) const {
  if (config_.grpo.zero_variance == ZeroVariance::kResample) return !rewards_vary(summarise(group).rewards());
  if (config_.grpo.zero_variance != ZeroVariance::kResampleWrong) return false;
  return std::ranges::none_of(group.completions,
                              [&](const auto& completion) { return is_right(completion.verdict, group.is_defect); });
}

void Rollouts::resample(std::vector<Group>& groups, int64_t step) {
  for (int64_t attempt = 1; attempt <= config_.grpo.max_resamples; ++attempt) {
    std::vector<Group*> again;
    for (Group& group : groups) {
      if (!needs_resampling(group)) continue;
      ++group.resamples;
      group.discarded_tokens = tokens_seen({summarise(group)});
      again.push_back(&group);
    }
    if (again.empty()) return;
    generate(again, step, attempt);
    clock_.enter("score");
    for (Group* group : again) score(*group);
  }
}

}  // namespace lriad

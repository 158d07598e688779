#include "grpo_stage.h"

#include <ATen/ATen.h>

#include <set>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "lriad/grpo/advantage.h"
#include "lriad/grpo/answers.h"

namespace lriad {
namespace {

constexpr const char* kSamplingPrefix = "sampling.";

ClassCounts count_classes(const Dataset& data) {
  ClassCounts counts;
  for (const Sample& sample : data.samples) {
    const bool defect = sample.label == Label::kDefect;
    ++(defect ? counts.defect : counts.normal);
    ++counts.objects[sample.object][defect ? 1 : 0];
  }
  return counts;
}

std::map<std::string, at::Tensor> copies(const std::map<std::string, at::Tensor>& tensors,
                                         const std::string& prefix = "") {
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, tensor] : tensors) result[prefix + name] = tensor.detach().cpu().clone();
  return result;
}

}  // namespace

GrpoStage::GrpoStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock)
    : context_(context),
      config_(context.config),
      parameters_(parameters),
      communicator_(communicator),
      clock_(clock),
      batches_(context, communicator.rank(), communicator.size()),
      counts_(count_classes(context.data)) {
  if (config_.grpo.kl_anchor == KlReference::kInitialAdapter) initial_adapter_ = copies(parameters.named_values());
}

int64_t GrpoStage::steps_per_epoch() const { return batches_.per_epoch() * config_.grpo.num_iterations; }

int64_t GrpoStage::sampled_at(int64_t step) const {
  return (step - 1) / config_.grpo.num_iterations * config_.grpo.num_iterations + 1;
}

StepResult GrpoStage::gradients(int64_t step) {
  if (sampled_at(step) == step) {
    sample(step);
    score();
    resample(step);
    normalise();
  }
  Sums sums;
  learn(step, sums);
  return figures(step, over_ranks(sums));
}

void GrpoStage::sample(int64_t step) {
  clock_.enter("data");
  groups_.clear();
  for (BatchPrompt& prompt : batches_.take((step - 1) / config_.grpo.num_iterations)) {
    groups_.emplace_back().prompt = std::move(prompt);
  }
  clock_.enter("vision");
  std::vector<Group*> all;
  for (Group& group : groups_) {
    group.features_MD = context_.features.features(group.prompt.sample);
    group.prompt.sample.patches.values = {};
    all.push_back(&group);
  }
  complete(all, step, /*attempt=*/0);
  recall_at_sampling_ = recall_.save();
  if (config_.grpo.num_iterations > 1) sampling_adapter_ = copies(parameters_.named_values(), kSamplingPrefix);
}

void GrpoStage::complete(const std::vector<Group*>& groups, int64_t step, int64_t attempt) {
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
    const PreparedSample& sample = group->prompt.sample;
    prompts.push_back({sample.prompt_ids,
                       {sample.patches.grid},
                       group->features_MD,
                       static_cast<uint32_t>(step),
                       static_cast<uint32_t>(group->prompt.prompt_index),
                       static_cast<uint32_t>(attempt * section.num_generations)});
  }
  auto completions = generate(context_.model, prompts, settings);
  for (std::size_t k = 0; k < groups.size(); ++k) groups[k]->completions = std::move(completions[k]);
}

void GrpoStage::score() {
  clock_.enter("score");
  for (Group& group : groups_) score_group(group);
}

void GrpoStage::score_group(Group& group) {
  const Sample& sample = context_.data.samples[static_cast<std::size_t>(group.prompt.sample.index)];
  GroupSummary& summary = group.summary;
  const GroupSummary before = std::exchange(summary, {});
  summary.prompt_index = group.prompt.prompt_index;
  summary.defect = sample.label == Label::kDefect;
  summary.prompt_length = static_cast<int64_t>(group.prompt.sample.prompt_ids.size());
  summary.resamples = before.resamples;
  summary.discarded_tokens = before.discarded_tokens;
  group.texts.clear();
  std::vector<Scored> scored;
  std::set<std::vector<int64_t>> distinct;
  for (const Completion& completion : group.completions) {
    distinct.insert(completion.ids);
    group.texts.push_back(context_.tokenizer.decode(completion.ids, /*skip_special=*/true));
    scored.push_back(score_completion(context_.tokenizer, context_.answer_tokens, completion, summary.defect));
    summary.verdicts.push_back(scored.back().answer);
    summary.lengths.push_back(static_cast<int64_t>(completion.ids.size()));
    summary.truncated.push_back(completion.truncated);
  }
  const double f = class_factor(config_.reward.focal, summary.defect, sample.object, counts_, recall_);
  group.rewards = lriad::score_group(config_.reward, scored, summary.defect, f);
  summary.advantage_factor = advantage_weight(config_.reward, scored, summary.defect, f);
  summary.distinct = static_cast<int64_t>(distinct.size());
  for (const Reward& reward : group.rewards) {
    summary.p.push_back(reward.p);
    summary.format.push_back(reward.format);
    summary.answer.push_back(reward.answer);
    summary.total.push_back(reward.total);
  }
}

bool GrpoStage::needs_resampling(const GroupSummary& summary) const {
  if (config_.grpo.zero_variance == ZeroVariance::kResample) return !rewards_vary(summary.total);
  if (config_.grpo.zero_variance != ZeroVariance::kResampleWrong) return false;
  for (std::size_t i = 0; i < summary.size(); ++i) {
    if (summary.right(i)) return false;
  }
  return true;
}

void GrpoStage::resample(int64_t step) {
  for (int64_t attempt = 1; attempt <= config_.grpo.max_resamples; ++attempt) {
    std::vector<Group*> flat;
    for (Group& group : groups_) {
      if (!needs_resampling(group.summary)) continue;
      ++group.summary.resamples;
      group.summary.discarded_tokens = tokens_seen({group.summary});
      flat.push_back(&group);
    }
    if (flat.empty()) return;
    complete(flat, step, attempt);
    clock_.enter("score");
    for (Group* group : flat) score_group(*group);
  }
}

void GrpoStage::normalise() {
  clock_.enter("exchange");
  std::vector<GroupSummary> summaries;
  for (const Group& group : groups_) summaries.push_back(group.summary);
  all_groups_ = gather_groups(communicator_, summaries);
  step_weights_ = step_weights(all_groups_, config_.grpo, config_.rollout.max_completion_length);
  num_tokens_ += tokens_seen(all_groups_);
  std::size_t own = 0;
  for (std::size_t k = 0; k < all_groups_.size(); ++k) {
    const GroupSummary& summary = all_groups_[k];
    for (std::size_t i = 0; i < summary.size(); ++i) recall_.add(summary.defect, summary.right(i));
    if (own == groups_.size() || groups_[own].summary.prompt_index != summary.prompt_index) continue;
    groups_[own].advantages = step_weights_.advantages[k];
    groups_[own].weights = step_weights_.weights[k];
    ++own;
  }
}

void GrpoStage::save(TrainerState& trainer, std::map<std::string, at::Tensor>& state) const {
  trainer.cursor["num_tokens"] = num_tokens_;
  trainer.extra["running_recall"] = recall_.save();
  trainer.extra["alarms"] = alarms_.save();
  trainer.extra.erase("running_recall_at_sampling");  // of the checkpoint that the run went on from
  if (trainer.global_step % config_.grpo.num_iterations == 0) return;
  trainer.extra["running_recall_at_sampling"] = recall_at_sampling_;
  state.insert(sampling_adapter_.begin(), sampling_adapter_.end());
}

void GrpoStage::restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>& state) {
  if (trainer.global_step % config_.grpo.num_iterations != 0) {
    const auto recall_then = trainer.extra.find("running_recall_at_sampling");
    if (recall_then == trainer.extra.end()) {
      fail("train", "the checkpoint after step ", trainer.global_step,
           " does not stand between two updates by the same ", "completions, as grpo.num_iterations ",
           config_.grpo.num_iterations, " asks; was that key changed?");
    }
    recall_.restore(recall_then->second);
    std::map<std::string, at::Tensor> sampling;
    for (const auto& [name, tensor] : state) {
      if (name.starts_with(kSamplingPrefix)) sampling[name.substr(std::string(kSamplingPrefix).size())] = tensor;
    }
    const auto present = copies(parameters_.named_values());
    parameters_.load_values(sampling);
    regenerate_rollouts(sampled_at(trainer.global_step));
    parameters_.load_values(present);
  }
  const auto tokens = trainer.cursor.find("num_tokens");
  const auto recall = trainer.extra.find("running_recall");
  if (tokens == trainer.cursor.end() || recall == trainer.extra.end()) {
    fail("train", "the checkpoint lacks the counters of stage grpo; was it written by another stage?");
  }
  // Checkpoints of before there were alarms begin with an empty memory.
  if (const auto alarms = trainer.extra.find("alarms"); alarms != trainer.extra.end()) alarms_.restore(alarms->second);
  num_tokens_ = tokens->second;
  recall_.restore(recall->second);
}

}  // namespace lriad

#include "sft_stage.h"

#include <ATen/ATen.h>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "lriad/model/image_features.h"
#include "rank_sums.h"

// Shape letters: M target tokens of a pass.
namespace lriad {
SftStage::SftStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock)
    : context_(context),
      config_(context.config),
      parameters_(parameters),
      communicator_(communicator),
      clock_(clock),
      batches_(context, communicator.rank(), communicator.size()) {}

PromptGroup SftStage::target_group(const BatchPrompt& prompt, int64_t step) const {
  const int64_t index = prompt.sample.index;
  const Sample& sample = context_.data.samples[static_cast<std::size_t>(index)];
  PromptGroup group;
  group.ids = prompt.sample.prompt_ids;
  group.grids = {prompt.sample.patches.grid};
  group.completions = {
      context_.tokenizer.encode(target_response(sample, config_.sft, config_.seed, prompt.epoch, index))};
  group.completions.front().push_back(context_.model->config().eos_token_ids.front());
  const auto words = CounterRandom(config_.seed, RandomUse::kDropout)
                         .words(static_cast<uint32_t>(step), static_cast<uint32_t>(prompt.prompt_index));
  group.dropout_seed = uint64_t{words[0]} << 32 | words[1];
  return group;
}

StepResult SftStage::gradients(int64_t step) {
  clock_.enter("data");
  std::vector<BatchPrompt> prompts = batches_.take(step - 1);
  groups_.clear();
  notes_.assign(prompts.size(), {});
  Sums counts;
  for (const BatchPrompt& prompt : prompts) {
    BatchGroup& note = notes_[groups_.size()];
    note.prompt_index = prompt.prompt_index;
    note.sample_id = context_.data.samples[static_cast<std::size_t>(prompt.sample.index)].id;
    groups_.push_back(target_group(prompt, step));
    counts.tokens += static_cast<double>(groups_.back().completions.front().size());
    counts.prompt_tokens += static_cast<double>(groups_.back().ids.size());
  }
  // The normaliser is that of the whole step, so it must be known before the first pass.
  const Sums all_counts = over_ranks(counts);
  Sums sums;
  for (std::size_t begin = 0, end = 0; begin < prompts.size(); begin = end) {
    for (int64_t rows = 0; end < prompts.size(); ++end) {
      rows += packed_rows(groups_[end], Prefix::kShared);
      if (end > begin && rows > context_.memory.rows_per_pass) break;
      notes_[end].pass = static_cast<int64_t>(begin);
      notes_[end].weights = {1 / all_counts.tokens};
    }
    learn_from(prompts, begin, end, all_counts.tokens, sums);
  }
  const Sums all = over_ranks(sums);
  StepResult result;
  result.nothing_left = all_counts.tokens == 0;
  result.loss = all.nll;
  result.finite = all.nonfinite == 0;
  result.tokens = static_cast<int64_t>(all_counts.tokens + all_counts.prompt_tokens);
  num_tokens_ += result.tokens;
  if (!result.nothing_left) {
    result.figures.emplace_back("entropy", all.entropy / all_counts.tokens);
    result.figures.emplace_back("mean_token_accuracy", all.top1 / all_counts.tokens);
  }
  result.figures.emplace_back("num_tokens", static_cast<double>(num_tokens_));
  return result;
}

void SftStage::learn_from(std::vector<BatchPrompt>& prompts, std::size_t begin, std::size_t end, double tokens,
                          Sums& sums) {
  clock_.enter("vision");
  if (config_.trainable == Trainable::kAll) {
    std::vector<PreparedSample> samples;
    for (std::size_t k = begin; k < end; ++k) samples.push_back(std::move(prompts[k].sample));
    const std::vector<at::Tensor> features = image_features(context_.model, samples);
    for (std::size_t k = begin; k < end; ++k) {
      groups_[k].features_MD = features[k - begin];
      notes_[k].patches = std::move(samples[k - begin].patches.values);
    }
  } else {
    for (std::size_t k = begin; k < end; ++k) groups_[k].features_MD = context_.features.features(prompts[k].sample);
  }
  clock_.enter("policy");
  context_.model->train();
  const PackedGroups packed =
      pack_groups({groups_.data() + begin, end - begin}, context_.model->config(), Prefix::kShared, context_.device);
  const LogprobGradient logprob_gradient = [&](const at::Tensor& logp_C, int64_t) {
    return at::full_like(logp_C, -1 / tokens);
  };
  TokenLogprobs now =
      token_logprobs(context_.model, packed, /*temperature=*/1, logprob_gradient, context_.memory.logits_at_once);
  clock_.enter("backward");
  now.backward();
  parameters_.collect_gradients();
  context_.model->eval();
  sums.nll -= (now.logp_M.sum() / tokens).item<double>();
  sums.entropy += now.entropy_M.sum().item<double>();
  sums.top1 += now.top1_M.sum().item<double>();
  if (!at::isfinite(now.logp_M).all().item<bool>()) sums.nonfinite += 1;
}

std::vector<BatchGroup> SftStage::batch(int64_t) {
  std::vector<BatchGroup> batch = notes_;
  for (std::size_t k = 0; k < batch.size(); ++k) {
    BatchGroup& group = batch[k];
    group.tokens = groups_[k];
    group.prompt = context_.tokenizer.decode(groups_[k].ids, /*skip_special=*/true);
    group.texts = {context_.tokenizer.decode(groups_[k].completions.front(), /*skip_special=*/true)};
    group.advantages = {1};  // the loss is that of stage grpo with policy_loss logp and nothing else
  }
  return batch;
}

SftStage::Sums SftStage::over_ranks(const Sums& own) {
  clock_.enter("exchange");
  const std::vector<double> numbers = {own.nll, own.entropy, own.tokens, own.prompt_tokens, own.nonfinite, own.top1};
  const std::vector<double> all = sum_over_ranks(communicator_, numbers, "sums of the step");
  return {all[0], all[1], all[2], all[3], all[4], all[5]};
}

void SftStage::save(TrainerState& trainer, std::map<std::string, at::Tensor>&) const {
  trainer.cursor["num_tokens"] = num_tokens_;
}

void SftStage::restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>&) {
  const auto tokens = trainer.cursor.find("num_tokens");
  if (tokens == trainer.cursor.end()) fail("train", "the checkpoint lacks the counters of stage sft");
  num_tokens_ = tokens->second;
}

}  // namespace lriad

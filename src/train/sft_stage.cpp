#include "sft_stage.h"

#include <ATen/ATen.h>

#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/random.h"
#include "lriad/dist/rank_sums.h"

// Shape letters: M target tokens of a pass.
namespace lriad {

SftStage::SftStage(RunContext& context, FlatParameters& parameters, Communicator& communicator, PhaseClock& clock)
    : context_(context),
      config_(context.config),
      parameters_(parameters),
      communicator_(communicator),
      clock_(clock),
      batches_(context, communicator.rank(), communicator.size()) {}

/// A group whose only completion is the target text with its end token.
Group SftStage::target_group(BatchPrompt& prompt, int64_t step) const {
  const int64_t index = prompt.sample.index;
  const Sample& sample = context_.data.samples[static_cast<std::size_t>(index)];
  Group group;
  group.prompt_index = prompt.prompt_index;
  group.sample_index = index;
  group.sample_id = sample.id;
  group.prompt_ids = std::move(prompt.sample.prompt_ids);
  group.grids = prompt.sample.grids();
  if (context_.trains_tower) group.patches = prompt.sample.pixel_values();
  group.features_ID = prompt.features_ID;
  GroupCompletion& target = group.completions.emplace_back();
  target.ids = target_ids(context_.tokenizer, target_response(sample, config_.sft, config_.seed, prompt.epoch, index),
                          context_.model->config().eos_token_ids);
  target.advantage = 1;  // makes the loss that of stage grpo with policy_loss logp and no KL term
  const auto words = CounterRandom(config_.seed, RandomUse::kDropout)
                         .words(static_cast<uint32_t>(step), static_cast<uint32_t>(prompt.prompt_index));
  group.dropout_seed = uint64_t{words[0]} << 32 | words[1];
  return group;
}

/// Takes the step's prompts; with a frozen tower, their features too.
void SftStage::take_groups(int64_t step) {
  clock_.enter("data");
  groups_.clear();
  std::vector<BatchPrompt> prompts = batches_.take(step - 1);
  clock_.enter("vision");
  if (!context_.trains_tower) take_features(context_.features, prompts);
  for (BatchPrompt& prompt : prompts) groups_.push_back(target_group(prompt, step));
}

std::vector<MicroBatch> SftStage::micro_batches() {
  std::vector<Group*> all;
  for (Group& group : groups_) all.push_back(&group);
  return divide_into_passes(all, Prefix::kShared, context_.memory.rows_per_pass);
}

StepResult SftStage::gradients(int64_t step) {
  take_groups(step);
  Sums counts;
  for (const Group& group : groups_) {
    counts.tokens += static_cast<double>(group.num_tokens());
    counts.prompt_tokens += static_cast<double>(group.prompt_ids.size());
  }
  // The loss is divided by the tokens of the whole step, so these are counted before the first pass.
  const Sums all_counts = over_ranks(counts);
  for (Group& group : groups_) group.completions.front().weight = 1 / all_counts.tokens;
  Sums sums;
  learn_in_passes({[this] { return micro_batches(); }, [&](const auto& passes) { sums = learn(passes); }}, step,
                  context_, parameters_);
  const Sums all = over_ranks(sums);
  StepResult result;
  result.nothing_left = all_counts.tokens == 0;
  result.loss = all.nll;
  result.finite = all.nonfinite == 0;
  result.tokens = static_cast<int64_t>(all_counts.tokens + all_counts.prompt_tokens);
  num_tokens_ += *result.tokens;
  if (!result.nothing_left) {
    result.metrics.emplace_back("entropy", all.entropy / all_counts.tokens);
    result.metrics.emplace_back("mean_token_accuracy", all.top1 / all_counts.tokens);
  }
  result.metrics.emplace_back("num_tokens", static_cast<double>(num_tokens_));
  return result;
}

SftStage::Sums SftStage::learn(const std::vector<MicroBatch>& passes) {
  Sums sums;
  for (const MicroBatch& pass : passes) learn_from(pass, sums);
  return sums;
}

void SftStage::learn_from(const MicroBatch& pass, Sums& sums) {
  clock_.enter("policy");
  const PackedGroups packed = pack_groups(std::vector<const Group*>(pass.begin(), pass.end()), context_.model->config(),
                                          Prefix::kShared, context_.device);
  const double weight = pass.front()->completions.front().weight;
  const LogprobGradient gradient = [weight](const at::Tensor& logp_C, int64_t) {
    return at::full_like(logp_C, -weight);
  };
  context_.model->train();
  TokenLogprobs now =
      token_logprobs(context_.model, packed, /*temperature=*/1, gradient, context_.memory.logits_at_once);
  clock_.enter("backward");
  now.backward();
  parameters_.collect_gradients();
  context_.model->eval();
  const std::vector<double> read =
      read_scalars({now.logp_M.sum(), now.entropy_M.sum(), now.top1_M.sum(), at::isfinite(now.logp_M).all()});
  sums.nll -= read[0] * weight;
  sums.entropy += read[1];
  sums.top1 += read[2];
  sums.nonfinite += 1 - read[3];
}

std::vector<std::vector<Group>> SftStage::passes(int64_t) {
  std::vector<std::vector<Group>> passes;
  for (const MicroBatch& batch : micro_batches()) {
    std::vector<Group>& pass = passes.emplace_back();
    for (const Group* group : batch) {
      GroupCompletion& target = pass.emplace_back(*group).completions.front();
      target.text = context_.tokenizer.decode(target.ids, /*skip_special=*/true);
    }
  }
  return passes;
}

SftStage::Sums SftStage::over_ranks(const Sums& own) {
  clock_.enter("exchange");
  Sums all;
  for (const Sums& rank : gather_records(communicator_, own, "sums of the step")) {
    all.nll += rank.nll;
    all.entropy += rank.entropy;
    all.tokens += rank.tokens;
    all.prompt_tokens += rank.prompt_tokens;
    all.nonfinite += rank.nonfinite;
    all.top1 += rank.top1;
  }
  return all;
}

void SftStage::save(TrainerState& trainer, std::map<std::string, at::Tensor>&) const {
  trainer.cursor["num_tokens"] = num_tokens_;
  batches_.save(trainer.cursor);
}

void SftStage::restore(const TrainerState& trainer, const std::map<std::string, at::Tensor>&) {
  const auto tokens = trainer.cursor.find("num_tokens");
  if (tokens == trainer.cursor.end()) fail("train", "the checkpoint lacks the counters of stage sft");
  num_tokens_ = tokens->second;
  batches_.restore(trainer.cursor);
}

}  // namespace lriad

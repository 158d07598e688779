// What is written down of groups: the lines of completions.jsonl, and the batch that the health guard refused.
#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "grpo_stage.h"

namespace lriad {
namespace {

std::optional<std::vector<double>> slice(const at::Tensor& values_M, int64_t begin, int64_t length) {
  if (!values_M.defined()) return std::nullopt;
  const at::Tensor part = values_M.slice(0, begin, begin + length).to(at::kCPU, at::kDouble).contiguous();
  return std::vector<double>(part.data_ptr<double>(), part.data_ptr<double>() + length);
}

}  // namespace

CompletionRecord GrpoStage::record(const Group& group, std::size_t completion, int64_t step, int64_t offset) const {
  const Sample& sample = context_.data.samples[static_cast<std::size_t>(group.prompt.sample.index)];
  const Completion& drawn = group.completions[completion];
  const Reward& reward = group.rewards[completion];
  CompletionRecord line;
  line.step = step;
  line.rank = communicator_.rank();
  line.prompt_index = group.prompt.prompt_index;
  line.sample_id = sample.id;
  line.image = sample.image;
  line.object = sample.object;
  line.label = label_name(*sample.label);
  line.generation = static_cast<int64_t>(completion);
  line.text = group.texts[completion];
  line.verdict = answer_name(group.summary.verdicts[completion]);
  line.format_reward = reward.format;
  line.answer_reward = reward.answer;
  line.reward = reward.total;
  line.p = reward.p;
  line.advantage = group.advantages[completion];
  line.length = static_cast<int64_t>(drawn.ids.size());
  line.truncated = drawn.truncated;
  if (!config_.log.token_ids) return line;
  CompletionTokens& tokens = line.tokens.emplace();
  tokens.prompt_ids = group.prompt.sample.prompt_ids;
  tokens.completion_ids = drawn.ids;
  for (const TokenTrace& trace : drawn.trace) tokens.sampling_logprobs.push_back(trace.sampling_logp);
  tokens.old_logprobs = slice(group.old_M, offset, line.length);
  tokens.ref_logprobs = slice(group.reference_M, offset, line.length);
  tokens.policy_logprobs = slice(group.policy_M, offset, line.length).value();
  return line;
}

BatchGroup GrpoStage::batch_group(const Group& group, int64_t step) const {
  BatchGroup result;
  const Sample& sample = context_.data.samples[static_cast<std::size_t>(group.prompt.sample.index)];
  result.prompt_index = group.prompt.prompt_index;
  result.sample_id = sample.id;
  result.tokens = prompt_group(group, step);
  result.texts = group.texts;
  for (const Reward& reward : group.rewards) result.rewards.push_back(reward.total);
  result.advantages = group.advantages;
  result.weights = group.weights;
  result.old_M = group.old_M;
  result.reference_M = group.reference_M;
  return result;
}

std::vector<BatchGroup> GrpoStage::batch(int64_t step) {
  std::vector<BatchGroup> batch;
  int64_t pass = 0;
  for (const auto& groups : micro_batches(step)) {
    for (const Group* group : groups) {
      BatchGroup& written = batch.emplace_back(batch_group(*group, step));
      written.pass = pass;
      written.prompt = context_.tokenizer.decode(group->prompt.sample.prompt_ids, /*skip_special=*/true);
      if (sampled_at(step) == step) written.policy_M = group->policy_M;
    }
    ++pass;
  }
  return batch;
}

std::vector<std::string> GrpoStage::completion_lines(int64_t step) {
  nlohmann::json own = nlohmann::json::array();
  for (const Group& group : groups_) {
    int64_t offset = 0;
    for (std::size_t i = 0; i < group.completions.size(); ++i) {
      own.push_back({group.prompt.prompt_index, i, completion_json(record(group, i, step, offset))});
      offset += static_cast<int64_t>(group.completions[i].ids.size());
    }
  }
  std::vector<nlohmann::json> all;
  for (const std::string& bytes : communicator_.gather(own.dump(), "completions of the step")) {
    for (auto& line : nlohmann::json::parse(bytes)) all.push_back(std::move(line));
  }
  std::ranges::sort(all);
  std::vector<std::string> lines;
  for (const auto& line : all) lines.push_back(line[2].get<std::string>());
  return lines;
}

}  // namespace lriad

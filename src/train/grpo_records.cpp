#include "grpo_records.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "lriad/run/metrics_log.h"

namespace lriad {
namespace {

std::optional<std::vector<double>> logprobs_of(const Group& group, const at::Tensor& values_M, std::size_t completion) {
  if (!values_M.defined()) return std::nullopt;
  const at::Tensor part = group.of_completion(values_M, completion).to(at::kCPU, at::kDouble).contiguous();
  return std::vector<double>(part.data_ptr<double>(), part.data_ptr<double>() + part.numel());
}

CompletionTokens tokens_of(const Group& group, std::size_t generation) {
  const GroupCompletion& completion = group.completions[generation];
  CompletionTokens tokens;
  tokens.prompt_ids = group.prompt_ids;
  tokens.completion_ids = completion.ids;
  for (const TokenTrace& trace : completion.trace) tokens.sampling_logprobs.push_back(trace.sampling_logp);
  tokens.old_logprobs = logprobs_of(group, group.old_M, generation);
  tokens.ref_logprobs = logprobs_of(group, group.reference_M, generation);
  tokens.policy_logprobs = logprobs_of(group, group.policy_M, generation).value();
  return tokens;
}

CompletionRecord record_of(const Group& group, std::size_t generation, const RunContext& context) {
  const Sample& sample = context.data.samples[static_cast<std::size_t>(group.sample_index)];
  const GroupCompletion& completion = group.completions[generation];
  CompletionRecord record;
  record.prompt_index = group.prompt_index;
  record.sample_id = group.sample_id;
  record.image = sample.image;
  record.object = sample.object;
  record.reference = group.reference_images;
  record.label = verdict_name(*sample.label);
  record.generation = static_cast<int64_t>(generation);
  record.text = completion.text;
  record.verdict = verdict_name(completion.verdict);
  for (std::size_t k = 0; k < reward_components().size(); ++k) {
    const RewardComponent& component = reward_components()[k];
    if (is_active(component, context.config.reward))
      record.rewards.emplace_back(component.name, completion.reward.values[k]);
  }
  record.reward = completion.reward.total;
  record.p = completion.reward.p;
  record.advantage = completion.advantage;
  record.length = completion.length();
  record.truncated = completion.truncated;
  if (context.config.log.token_ids) record.tokens = tokens_of(group, generation);
  return record;
}

}  // namespace

std::vector<std::string> completion_lines(const std::vector<Group>& groups, int64_t step, const RunContext& context,
                                          Communicator& communicator) {
  using Line = std::pair<std::pair<int64_t, int64_t>, std::string>;  // prompt index and generation, text
  std::vector<Line> own;
  for (const Group& group : groups) {
    for (std::size_t i = 0; i < group.completions.size(); ++i) {
      CompletionRecord record = record_of(group, i, context);
      record.step = step;
      record.rank = communicator.rank();
      own.push_back({{group.prompt_index, record.generation}, completion_json(record)});
    }
  }
  std::vector<Line> all;
  for (const std::string& bytes : communicator.gather(nlohmann::json(own).dump(), "completions of the step")) {
    for (Line& line : nlohmann::json::parse(bytes).get<std::vector<Line>>()) all.push_back(std::move(line));
  }
  std::ranges::sort(all);
  std::vector<std::string> lines;
  for (Line& line : all) lines.push_back(std::move(line.second));
  return lines;
}

}  // namespace lriad

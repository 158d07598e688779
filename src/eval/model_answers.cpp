#include "lriad/eval/model_answers.h"

#include <ATen/core/grad_mode.h>

#include "lriad/eval/model_inputs.h"
#include "lriad/grpo/answers.h"
#include "lriad/grpo/rollout.h"
#include "lriad/text/chat_prompt.h"

namespace lriad {
namespace {

RawAnswer raw_answer(Completion&& completion, const Tokenizer& tokenizer, const LetterTokens& letters, bool greedy) {
  RawAnswer answer;
  if (const auto trace = letter_trace(tokenizer, letters, completion)) answer.score = defect_probability(*trace);
  answer.truncated = completion.truncated;
  for (const TokenTrace& trace : completion.trace) answer.logprobs.push_back(greedy ? trace.logp : trace.sampling_logp);
  answer.ids = std::move(completion.ids);
  return answer;
}

}  // namespace

AnswerFunction model_answers(Qwen2Vl& model, const Tokenizer& tokenizer, const AnswerOptions& options) {
  const LetterTokens letters = letter_tokens(tokenizer);
  RolloutSettings settings;
  settings.sampler.temperature = options.temperature;
  if (options.ban_vision_tokens) settings.sampler.banned = model->config().banned_ids();
  settings.max_new_tokens = options.max_new_tokens;
  settings.seed = options.seed;
  settings.letters = {letters.a, letters.b};
  return [&model, &tokenizer, letters, settings](std::span<const PreparedSample> samples) {
    const at::NoGradGuard no_grad;
    const std::vector<at::Tensor> features = image_features(model, samples);
    std::vector<RolloutPrompt> prompts;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      RolloutPrompt& prompt = prompts.emplace_back();
      prompt.ids = samples[i].prompt_ids;
      prompt.grids = {samples[i].patches.grid};
      prompt.features_MD = features[i];
      prompt.prompt = static_cast<uint32_t>(samples[i].index);
    }
    std::vector<RawAnswer> answers;
    for (auto& rows : rollout(model, prompts, settings)) {
      answers.push_back(raw_answer(std::move(rows.front()), tokenizer, letters, settings.sampler.temperature == 0));
    }
    return answers;
  };
}

}  // namespace lriad

#include "lriad/eval/model_answers.h"

#include <ATen/core/grad_mode.h>

#include "lriad/generation/generate.h"
#include "lriad/grpo/answers.h"
#include "lriad/model/image_features.h"
#include "lriad/text/chat_prompt.h"

namespace lriad {
namespace {

RawAnswer raw_answer(Completion&& completion, const Tokenizer& tokenizer, const AnswerTokens& answer_tokens,
                     bool greedy) {
  RawAnswer answer;
  if (const auto trace = answer_token_trace(tokenizer, answer_tokens, completion))
    answer.score = defect_probability(*trace);
  answer.truncated = completion.truncated;
  for (const TokenTrace& trace : completion.trace) answer.logprobs.push_back(greedy ? trace.logp : trace.sampling_logp);
  answer.ids = std::move(completion.ids);
  return answer;
}

}  // namespace

AnswerFunction model_answers(Qwen2Vl& model, const Tokenizer& tokenizer, const AnswerOptions& options) {
  const AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  GenerationSettings settings;
  settings.sampler.temperature = options.temperature;
  if (options.ban_vision_tokens) settings.sampler.banned = model->config().banned_ids();
  settings.max_new_tokens = options.max_new_tokens;
  settings.seed = options.seed;
  settings.answer_tokens = {answer_tokens.a, answer_tokens.b};
  return [&model, &tokenizer, answer_tokens, settings](std::span<const PreparedSample> samples) {
    const at::NoGradGuard no_grad;
    std::vector<const Patches*> images;
    for (const PreparedSample& sample : samples) images.push_back(&sample.patches);
    const std::vector<at::Tensor> features = image_features(model, images);
    std::vector<GenerationPrompt> prompts;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      GenerationPrompt& prompt = prompts.emplace_back();
      prompt.ids = samples[i].prompt_ids;
      prompt.grids = {samples[i].patches.grid};
      prompt.features_MD = features[i];
      prompt.prompt = static_cast<uint32_t>(samples[i].index);
    }
    std::vector<RawAnswer> answers;
    for (auto& rows : generate(model, prompts, settings)) {
      answers.push_back(
          raw_answer(std::move(rows.front()), tokenizer, answer_tokens, settings.sampler.temperature == 0));
    }
    return answers;
  };
}

}  // namespace lriad

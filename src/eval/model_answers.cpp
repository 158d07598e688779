#include "lriad/eval/model_answers.h"

#include <ATen/ATen.h>

#include "lriad/core/error.h"
#include "lriad/generation/generate_stream.h"
#include "lriad/grpo/answers.h"
#include "lriad/model/image_features.h"
#include "lriad/text/chat_prompt.h"

namespace lriad {
namespace {

/// The samples of a desk as prompts.
class DeskPrompts : public PromptStream {
 public:
  DeskPrompts(AnswerDesk& desk, Qwen2Vl& model, const Tokenizer& tokenizer, const AnswerOptions& options)
      : desk_(desk),
        model_(model),
        tokenizer_(tokenizer),
        answer_tokens_(find_answer_tokens(tokenizer)),
        greedy_(options.temperature == 0),
        reference_features_(options.reference_features) {}

  int64_t next_length() override { return desk_.next_length(); }

  std::vector<GenerationPrompt> take(int64_t most, int64_t longest) override {
    const std::vector<PreparedSample> samples = desk_.take(most, longest);
    std::vector<const Patches*> images;
    for (const PreparedSample& sample : samples) images.push_back(&sample.patches);
    const std::vector<at::Tensor> features = image_features(model_, images);
    std::vector<GenerationPrompt> prompts;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      GenerationPrompt& prompt = prompts.emplace_back();
      prompt.ids = samples[i].prompt_ids;
      prompt.grids = samples[i].grids();
      prompt.features_MD = with_references(samples[i], features[i]);
      prompt.prompt = static_cast<uint32_t>(samples[i].index);
    }
    return prompts;
  }

  void give(uint32_t prompt, Completion&& completion) override {
    RawAnswer answer;
    if (const auto trace = answer_token_trace(tokenizer_, answer_tokens_, completion))
      answer.score = defect_probability(*trace);
    answer.truncated = completion.truncated;
    for (const TokenTrace& trace : completion.trace)
      answer.logprobs.push_back(greedy_ ? trace.logp : trace.sampling_logp);
    answer.ids = std::move(completion.ids);
    desk_.give(prompt, std::move(answer));
  }

 private:
  at::Tensor with_references(const PreparedSample& sample, const at::Tensor& features_CD) {
    std::vector<at::Tensor> all;
    for (const Patches& reference : sample.references) {
      require(reference_features_ != nullptr, "eval", "a sample has reference images, but there is no cache for them");
      all.push_back(reference_features_->features(reference));
    }
    all.push_back(features_CD);
    return joined(all);
  }

  AnswerDesk& desk_;
  Qwen2Vl& model_;
  const Tokenizer& tokenizer_;
  AnswerTokens answer_tokens_;
  bool greedy_;
  FeatureCache* reference_features_;
};

}  // namespace

AnswerFunction model_answers(Qwen2Vl& model, const Tokenizer& tokenizer, const AnswerOptions& options) {
  const AnswerTokens answer_tokens = find_answer_tokens(tokenizer);
  GenerationSettings settings;
  settings.sampler.temperature = options.temperature;
  if (options.ban_vision_tokens) settings.sampler.banned = model->config().banned_ids();
  settings.max_new_tokens = options.max_new_tokens;
  settings.seed = options.seed;
  settings.answer_tokens = {answer_tokens.a, answer_tokens.b};
  settings.each_token = options.each_token;
  return [&model, &tokenizer, settings, options](AnswerDesk& desk) {
    const at::NoGradGuard no_grad;
    DeskPrompts prompts(desk, model, tokenizer, options);
    generate_stream(model, prompts, settings, [&](int64_t prompt_tokens) {
      return prompts_at_once(options.batch_size, prompt_tokens, settings.max_new_tokens);
    });
  };
}

}  // namespace lriad

#include "lriad/generation/generate.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "decode_step.h"
#include "lriad/core/random.h"
#include "lriad/generation/kv_cache.h"
#include "lriad/model/rope.h"
#include "prompt_pass.h"
#include "step_graph.h"

// Shape letters: J prompts, B = J * num_generations completions, C sequences still in the batch, N tokens, V
// vocabulary.
namespace lriad {
namespace {

/// Everything generated so far: rows in the order [prompt][generation], one column per token.
struct GeneratedTokens {
  explicit GeneratedTokens(int64_t rows, int64_t tokens, const at::Device& device)
      : ids_BN(at::zeros({rows, tokens}, at::TensorOptions().dtype(at::kLong).device(device))),
        trace_BN5(at::zeros({rows, tokens, 5}, at::TensorOptions().dtype(at::kDouble).device(device))) {}
  at::Tensor ids_BN;                   ///< int64
  at::Tensor trace_BN5;                ///< float64: the fields of TokenTrace
  std::vector<at::Tensor> allowed_BV;  ///< bool, one tensor per token; with keep_allowed only
};

class Generator {
 public:
  Generator(Qwen2Vl& model, const std::vector<GenerationPrompt>& prompts, const GenerationSettings& settings)
      : model_(model),
        weight_(model->parameters().front()),
        prompts_(prompts),
        settings_(settings),
        sampler_(settings.sampler, model->config().text.vocab_size, weight_.device()),
        generated_(num_rows(), settings.max_new_tokens, weight_.device()),
        eos_(at::tensor(model->config().eos_token_ids, at::kLong).to(device())),
        row_C_(at::arange(num_rows(), at::TensorOptions().dtype(at::kLong).device(device()))),
        ended_C_(at::zeros({num_rows()}, at::TensorOptions().dtype(at::kBool).device(device()))),
        uniforms_NC_(uniforms().to(device())),
        num_prompts_(std::ssize(prompts)) {}

  GeneratedTokens run() {
    const at::Tensor logits_CV = prefill();
    if (DecodeStep::serves(model_, settings_)) {
      run_fixed_rows(logits_CV);
    } else {
      run_shrinking_rows(logits_CV);
    }
    return std::move(generated_);
  }

 private:
  /// By our kernels. The batch keeps its rows.
  void run_fixed_rows(const at::Tensor& logits_BV) {
    DecodeStep step(model_, *cache_, settings_, rotary_NCD_,
                    {uniforms_NC_, sampler_.banned().defined() ? sampler_.banned() : at::empty({0}, eos_.options()),
                     eos_, generated_.ids_BN, generated_.trace_BN5});
    StepGraph graph(device(), [&] { step.next(); });
    for (int64_t token_index = 0; token_index < settings_.max_new_tokens; ++token_index) {
      if (settings_.each_token) settings_.each_token();
      if (token_index == 0) {
        step.first(logits_BV);
      } else {
        graph.run();
      }
      if ((token_index + 1) % kEndTestEvery == 0 && step.num_ended() == num_rows()) break;
    }
  }

  /// Operator by operator. The batch shrinks as sequences end.
  void run_shrinking_rows(at::Tensor logits_CV) {
    const int64_t every = device().is_cpu() ? 1 : kEndTestEvery;
    for (int64_t token_index = 0;; ++token_index) {
      if (settings_.each_token) settings_.each_token();
      take(logits_CV, token_index);
      if (token_index + 1 == settings_.max_new_tokens) break;
      if ((token_index + 1) % every == 0) {
        fetch_allowed();
        if (!shrink()) break;
      }
      logits_CV = next_logits(token_index);
    }
    fetch_allowed();
  }

  at::Device device() const { return weight_.device(); }
  int64_t num_rows() const { return static_cast<int64_t>(prompts_.size()) * settings_.num_generations; }

  /// A number for each token and row.
  at::Tensor uniforms() const {
    const CounterRandom random(settings_.seed, RandomUse::kToken);
    at::Tensor result = at::empty({settings_.max_new_tokens, num_rows()}, at::kDouble);
    auto value = result.accessor<double, 2>();
    for (int64_t row = 0; row < num_rows(); ++row) {
      const GenerationPrompt& prompt = prompts_[static_cast<std::size_t>(row / settings_.num_generations)];
      const auto generation = prompt.first_generation + static_cast<uint32_t>(row % settings_.num_generations);
      for (int64_t token_index = 0; token_index < settings_.max_new_tokens; ++token_index) {
        value[token_index][row] =
            random.uniform(prompt.step, prompt.prompt, generation, static_cast<uint32_t>(token_index));
      }
    }
    return result;
  }

  /// Computes the prompts. Returns the logits of the first token, [C, V], equal for all rows of a prompt.
  at::Tensor prefill() {
    const PromptPass pass = pack_prompts(prompts_, model_->config(), device());
    prepare_rotary(pass.next_J);
    const at::TensorOptions options = weight_.options().requires_grad(false);
    cache_ = std::make_unique<KvCache>(model_->config().text, pass.lengths, settings_.num_generations,
                                       settings_.max_new_tokens, options);
    const at::Tensor hidden =
        model_->hidden(pass.packed, cache_->prefill(pass.packed.spans)).index_select(0, pass.last_J);
    return model_->logits(hidden).repeat_interleave(settings_.num_generations, 0);
  }

  /// Rotary tables of all tokens that can follow the prompts, whose next positions are given: [N, C, head size].
  void prepare_rotary(const at::Tensor& next_J) {
    const at::Tensor next_C = next_J.repeat_interleave(settings_.num_generations);
    const at::Tensor positions_NC = at::arange(settings_.max_new_tokens, at::kLong).unsqueeze(1) + next_C;
    const at::Tensor positions_3T = positions_NC.flatten().expand({3, -1}).to(device());
    const Rotary all = mrope(positions_3T, model_->config().text, weight_.scalar_type());
    const auto by_token = [&](const at::Tensor& x_TD) { return x_TD.unflatten(0, positions_NC.sizes()); };
    rotary_NCD_ = {by_token(all.cos_TD), by_token(all.sin_TD)};
  }

  /// Logits after token `token_index` of every sequence.
  at::Tensor next_logits(int64_t token_index) {
    PackedTokens packed;
    packed.ids_T = ids_C_;
    packed.rotary = {rotary_NCD_.cos_TD[token_index], rotary_NCD_.sin_TD[token_index]};
    return model_->logits(model_->hidden(packed, cache_->decode(token_index)));
  }

  /// Samples token `token_index` of every sequence and records its trace.
  void take(const at::Tensor& logits_CV, int64_t token_index) {
    const at::Tensor raw = raw_logits(logits_CV);
    const at::Tensor scores = sampler_.scores(raw);
    ids_C_ = sampler_.sample(scores, uniforms_NC_[token_index]);
    const at::Tensor trace_C5 = token_traces(raw, scores, ids_C_, settings_.answer_tokens);
    generated_.ids_BN.select(1, token_index).index_copy_(0, row_C_, ids_C_);
    generated_.trace_BN5.select(1, token_index).index_copy_(0, row_C_, trace_C5);
    if (settings_.keep_allowed) {
      const at::Tensor none = at::zeros({num_rows(), scores.size(1)}, ended_C_.options());
      generated_.allowed_BV.push_back(none.index_copy_(0, row_C_, at::isfinite(scores)));
    }
    ended_C_ = ended_C_.logical_or(at::isin(ids_C_, eos_));
  }

  /// Brings the allowed tokens that are still on the device to the CPU, in one copy.
  void fetch_allowed() {
    std::vector<at::Tensor>& all = generated_.allowed_BV;
    const auto fresh = all.begin() + num_fetched_;
    if (fresh == all.end()) return;
    std::ranges::copy(at::stack(std::vector<at::Tensor>(fresh, all.end())).cpu().unbind(), fresh);
    num_fetched_ = std::ssize(all);
  }

  /// Drops ended sequences if that makes the batch small enough to be worth copying the cache; false if none is left.
  bool shrink() {
    const at::Tensor ended = ended_C_.cpu();
    const int64_t prompts = num_prompts_, rows = ended.size(0) / prompts;
    const auto over = ended.accessor<bool, 1>();
    std::vector<int64_t> kept_prompts;
    std::vector<std::vector<int64_t>> kept_sequences;
    int64_t widest = 0;
    for (int64_t j = 0; j < prompts; ++j) {
      std::vector<int64_t> alive;
      for (int64_t sequence = j * rows; sequence < (j + 1) * rows; ++sequence) {
        if (!over[sequence]) alive.push_back(sequence);
      }
      if (alive.empty()) continue;
      widest = std::max(widest, static_cast<int64_t>(alive.size()));
      kept_prompts.push_back(j);
      kept_sequences.push_back(std::move(alive));
    }
    const double sequences = static_cast<double>(widest) * static_cast<double>(kept_prompts.size());
    if (sequences > kShrinkAt * static_cast<double>(ended.size(0))) return true;
    if (!kept_prompts.empty()) drop_ended(kept_prompts, kept_sequences, rows, widest);
    return !kept_prompts.empty();
  }

  /// Keeps `widest` sequences of each prompt, filled up with ended ones where fewer are left.
  void drop_ended(const std::vector<int64_t>& prompts, std::vector<std::vector<int64_t>>& sequences, int64_t rows,
                  int64_t widest) {
    std::vector<int64_t> all;
    for (std::size_t j = 0; j < prompts.size(); ++j) {
      for (int64_t sequence = prompts[j] * rows; static_cast<int64_t>(sequences[j].size()) < widest; ++sequence) {
        if (std::find(sequences[j].begin(), sequences[j].end(), sequence) == sequences[j].end())
          sequences[j].push_back(sequence);
      }
      all.insert(all.end(), sequences[j].begin(), sequences[j].end());
    }
    const at::Tensor prompts_J = at::tensor(prompts, at::kLong).to(device()),
                     sequences_C = at::tensor(all, at::kLong).to(device());
    cache_->keep(prompts_J, sequences_C, widest);
    num_prompts_ = std::ssize(prompts);
    for (at::Tensor* x : {&row_C_, &ended_C_, &ids_C_}) *x = x->index_select(0, sequences_C);
    for (at::Tensor* x : {&uniforms_NC_, &rotary_NCD_.cos_TD, &rotary_NCD_.sin_TD})
      *x = x->index_select(1, sequences_C);
  }

  Qwen2Vl& model_;
  at::Tensor weight_;  ///< a weight of the model, for its device and dtype
  const std::vector<GenerationPrompt>& prompts_;
  const GenerationSettings& settings_;
  Sampler sampler_;
  GeneratedTokens generated_;
  std::unique_ptr<KvCache> cache_;
  at::Tensor eos_, row_C_, ended_C_, uniforms_NC_;
  at::Tensor ids_C_;     ///< tokens sampled last
  Rotary rotary_NCD_;    ///< of every token and sequence
  int64_t num_prompts_;  ///< that have living sequences
  std::ptrdiff_t num_fetched_ = 0;
};

/// The completion of a row, up to and including its first end token. The tensors must be on the CPU.
Completion completion_of(const GeneratedTokens& generated, int64_t row, const std::vector<int64_t>& eos) {
  const auto trace = generated.trace_BN5.accessor<double, 3>()[row];
  const auto ids = generated.ids_BN.accessor<int64_t, 2>()[row];
  Completion completion;
  completion.truncated = true;
  std::vector<at::Tensor> allowed;
  for (int64_t t = 0; t < generated.ids_BN.size(1) && completion.truncated; ++t) {
    completion.ids.push_back(ids[t]);
    completion.trace.push_back({trace[t][0], trace[t][1], trace[t][2], trace[t][3], trace[t][4]});
    if (!generated.allowed_BV.empty()) allowed.push_back(generated.allowed_BV.at(static_cast<std::size_t>(t))[row]);
    completion.truncated = std::find(eos.begin(), eos.end(), ids[t]) == eos.end();
  }
  if (!allowed.empty()) completion.allowed_TV = at::stack(allowed);
  return completion;
}

}  // namespace

std::vector<std::vector<Completion>> generate(Qwen2Vl& model, const std::vector<GenerationPrompt>& prompts,
                                              const GenerationSettings& settings) {
  if (prompts.empty()) return {};
  const at::NoGradGuard no_grad;
  const bool was_training = model->is_training();
  model->eval();
  GeneratedTokens generated = Generator(model, prompts, settings).run();
  model->train(was_training);
  for (at::Tensor* field : {&generated.ids_BN, &generated.trace_BN5}) *field = field->cpu();
  std::vector<std::vector<Completion>> result(prompts.size());
  for (int64_t row = 0; row < generated.ids_BN.size(0); ++row) {
    result[static_cast<std::size_t>(row / settings.num_generations)].push_back(
        completion_of(generated, row, model->config().eos_token_ids));
  }
  return result;
}

}  // namespace lriad

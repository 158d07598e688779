#include "lriad/generation/generate.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lriad/core/random.h"
#include "lriad/generation/kv_cache.h"
#include "lriad/model/rope.h"

// Shape letters: J prompts, B = J * num_generations completions, C sequences still in the batch, N tokens, V
// vocabulary.
namespace lriad {
namespace {

constexpr double kShrinkAt = 0.75;  // shrink to at most this share of the batch; the copy costs about one token's pass

/// Everything generated so far: rows in the order [prompt][generation], one column per token.
struct GeneratedTokens {
  explicit GeneratedTokens(int64_t rows, int64_t tokens, const at::Device& device)
      : ids_BN(at::zeros({rows, tokens}, at::TensorOptions().dtype(at::kLong).device(device))) {
    const auto numbers = at::TensorOptions().dtype(at::kDouble).device(device);
    for (at::Tensor* field : {&sampling_logp_BN, &logp_BN, &answer_logit_a_BN, &answer_logit_b_BN, &log_sum_BN}) {
      *field = at::zeros({rows, tokens}, numbers);
    }
  }
  at::Tensor ids_BN;                                                                       ///< int64
  at::Tensor sampling_logp_BN, logp_BN, answer_logit_a_BN, answer_logit_b_BN, log_sum_BN;  ///< float64, as TokenTrace
  std::vector<at::Tensor> allowed_BV;  ///< bool on the CPU, one tensor per token; with keep_allowed only
};

class Generator {
 public:
  Generator(Qwen2Vl& model, const std::vector<GenerationPrompt>& prompts, const GenerationSettings& settings)
      : model_(model),
        weight_(model->parameters().front()),
        prompts_(prompts),
        settings_(settings),
        eos_(model->config().eos_token_ids),
        generated_(num_rows(), settings.max_new_tokens, weight_.device()) {
    const int64_t rows = num_rows();
    row_C_ = at::arange(rows, at::kLong).to(device());
    ended_C_ = at::zeros({rows}, at::kBool).to(device());
    uniforms_BN_ = uniforms().to(device());
  }

  GeneratedTokens run() {
    at::Tensor logits_CV = prefill();
    for (int64_t token_index = 0;; ++token_index) {
      if (settings_.each_token) settings_.each_token();
      const at::Tensor ids_C = take(logits_CV, token_index);
      if (token_index + 1 == settings_.max_new_tokens || !shrink()) break;
      logits_CV = next_logits(generated_.ids_BN.index_select(0, row_C_).select(1, token_index), token_index);
    }
    return std::move(generated_);
  }

 private:
  at::Device device() const { return weight_.device(); }
  int64_t num_rows() const { return static_cast<int64_t>(prompts_.size()) * settings_.num_generations; }

  at::Tensor uniforms() const {
    const CounterRandom random(settings_.seed, RandomUse::kToken);
    at::Tensor result = at::empty({num_rows(), settings_.max_new_tokens}, at::kDouble);
    auto value = result.accessor<double, 2>();
    for (int64_t row = 0; row < num_rows(); ++row) {
      const GenerationPrompt& prompt = prompts_[static_cast<std::size_t>(row / settings_.num_generations)];
      const auto generation = prompt.first_generation + static_cast<uint32_t>(row % settings_.num_generations);
      for (int64_t token_index = 0; token_index < settings_.max_new_tokens; ++token_index) {
        value[row][token_index] =
            random.uniform(prompt.step, prompt.prompt, generation, static_cast<uint32_t>(token_index));
      }
    }
    return result;
  }

  /// Computes the prompts. Returns the logits of the first token, [C, V], equal for all rows of a prompt.
  at::Tensor prefill() {
    PackedTokens packed;
    std::vector<at::Tensor> ids, positions, features, last, next;
    std::vector<int64_t> lengths;
    int64_t row = 0;
    for (const GenerationPrompt& prompt : prompts_) {
      const auto length = static_cast<int64_t>(prompt.ids.size());
      ids.push_back(at::tensor(prompt.ids, at::kLong));
      positions.push_back(mrope_positions(prompt.ids, prompt.grids, model_->config().image_token_id,
                                          model_->config().vision.spatial_merge_size));
      if (prompt.features_MD.defined()) features.push_back(prompt.features_MD);
      next.push_back(positions.back().max() + 1);
      packed.spans.push_back({row, row + length, -1});
      lengths.push_back(length);
      row += length;
      last.push_back(at::full({1}, row - 1, at::kLong));
    }
    packed.ids_T = at::cat(ids).to(device());
    packed.positions_3T = at::cat(positions, 1).to(device());
    if (!features.empty()) packed.features_MD = at::cat(features);
    next_J_ = at::stack(next).to(device());
    const at::TensorOptions options = weight_.options().requires_grad(false);
    cache_ = std::make_unique<KvCache>(model_->config().text, lengths, settings_.num_generations,
                                       settings_.max_new_tokens, options);
    const at::Tensor hidden =
        model_->hidden(packed, cache_->prefill(packed.spans)).index_select(0, at::cat(last).to(device()));
    return model_->logits(hidden).repeat_interleave(settings_.num_generations, 0);
  }

  /// Logits after token `token_index` of every sequence.
  at::Tensor next_logits(const at::Tensor& ids_C, int64_t token_index) {
    PackedTokens packed;
    packed.ids_T = ids_C;
    packed.positions_3T = (next_J_.repeat_interleave(ids_C.size(0) / next_J_.size(0)) + token_index).expand({3, -1});
    return model_->logits(model_->hidden(packed, cache_->decode(token_index)));
  }

  /// Samples token `token_index` of every sequence and records its trace.
  at::Tensor take(const at::Tensor& logits_CV, int64_t token_index) {
    const at::Tensor raw = logits_CV.scalar_type() == at::kDouble ? logits_CV : logits_CV.to(at::kFloat);
    const at::Tensor scores = sampler_scores(raw, settings_.sampler);
    const at::Tensor ids_C = settings_.sampler.temperature == 0
                                 ? scores.argmax(1)
                                 : sample_tokens(scores, uniforms_BN_.index_select(0, row_C_).select(1, token_index));
    const at::Tensor log_sum = raw.to(at::kDouble).logsumexp(1);
    const auto of_chosen = [chosen = ids_C.unsqueeze(1)](const at::Tensor& x_CV) {
      return x_CV.gather(1, chosen).squeeze(1).to(at::kDouble);
    };
    const auto note = [&](at::Tensor& field_BN, const at::Tensor& values_C) {
      field_BN.select(1, token_index).index_copy_(0, row_C_, values_C);
    };
    note(generated_.ids_BN, ids_C);
    note(generated_.sampling_logp_BN, of_chosen(scores) - scores.to(at::kDouble).logsumexp(1));
    note(generated_.logp_BN, of_chosen(raw) - log_sum);
    note(generated_.answer_logit_a_BN, raw.select(1, settings_.answer_tokens[0]).to(at::kDouble));
    note(generated_.answer_logit_b_BN, raw.select(1, settings_.answer_tokens[1]).to(at::kDouble));
    note(generated_.log_sum_BN, log_sum);
    if (settings_.keep_allowed) {
      const at::Tensor allowed = at::isfinite(scores).cpu();
      generated_.allowed_BV.push_back(
          at::zeros({num_rows(), allowed.size(1)}, at::kBool).index_copy_(0, row_C_.cpu(), allowed));
    }
    ended_C_ = ended_C_.logical_or(at::isin(ids_C, at::tensor(eos_, at::kLong).to(device())));
    return ids_C;
  }

  /// Drops ended sequences if that makes the batch small enough to be worth copying the cache; false if none is left.
  bool shrink() {
    const at::Tensor ended = ended_C_.cpu();
    const int64_t prompts = next_J_.size(0), rows = ended.size(0) / prompts;
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
    next_J_ = next_J_.index_select(0, prompts_J);
    row_C_ = row_C_.index_select(0, sequences_C);
    ended_C_ = ended_C_.index_select(0, sequences_C);
  }

  Qwen2Vl& model_;
  at::Tensor weight_;  ///< a weight of the model, for its device and dtype
  const std::vector<GenerationPrompt>& prompts_;
  const GenerationSettings& settings_;
  std::vector<int64_t> eos_;
  std::unique_ptr<KvCache> cache_;
  GeneratedTokens generated_;
  at::Tensor next_J_, row_C_, ended_C_, uniforms_BN_;
};

/// The completion of a row, up to and including its first end token. The tensors must be on the CPU.
Completion completion_of(const GeneratedTokens& generated, int64_t row, const std::vector<int64_t>& eos) {
  const auto numbers = [row](const at::Tensor& field_BN) { return field_BN.accessor<double, 2>()[row]; };
  const auto sampling = numbers(generated.sampling_logp_BN), logp = numbers(generated.logp_BN);
  const auto a = numbers(generated.answer_logit_a_BN), b = numbers(generated.answer_logit_b_BN);
  const auto log_sum = numbers(generated.log_sum_BN);
  const auto ids = generated.ids_BN.accessor<int64_t, 2>()[row];
  Completion completion;
  completion.truncated = true;
  std::vector<at::Tensor> allowed;
  for (int64_t t = 0; t < generated.ids_BN.size(1) && completion.truncated; ++t) {
    completion.ids.push_back(ids[t]);
    completion.trace.push_back({sampling[t], logp[t], a[t], b[t], log_sum[t]});
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
  for (at::Tensor* field : {&generated.ids_BN, &generated.sampling_logp_BN, &generated.logp_BN,
                            &generated.answer_logit_a_BN, &generated.answer_logit_b_BN, &generated.log_sum_BN}) {
    *field = field->cpu();
  }
  std::vector<std::vector<Completion>> result(prompts.size());
  for (int64_t row = 0; row < generated.ids_BN.size(0); ++row) {
    result[static_cast<std::size_t>(row / settings.num_generations)].push_back(
        completion_of(generated, row, model->config().eos_token_ids));
  }
  return result;
}

}  // namespace lriad

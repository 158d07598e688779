#include "lriad/generation/generate_stream.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "lriad/core/random.h"
#include "lriad/model/rope.h"
#include "prompt_pass.h"
#include "row_cache.h"

// Shape letters: J new prompts, B rows, N tokens of a block, V vocabulary.
namespace lriad {
namespace {

/// A row of the batch. What the next pass needs of it is kept here, and copied to the device for each block.
struct Row {
  bool busy = false;
  GenerationPrompt prompt;  ///< for its random key; without ids and features
  Completion completion;
  int64_t length = 0;         ///< tokens in the cache
  int64_t next_position = 0;  ///< of the token sampled last
  int64_t count() const { return std::ssize(completion.ids); }
};

/// Tokens sampled one after another for some rows.
struct Block {
  at::Tensor ids_NB, trace_NB5;
};

class StreamGenerator {
 public:
  /// For `rows` rows whose prompts have at most `longest` tokens.
  StreamGenerator(Qwen2Vl& model, PromptStream& stream, const GenerationSettings& settings,
                  const RowsAtOnce& rows_at_once, int64_t longest, int64_t rows)
      : model_(model),
        weight_(model->parameters().front()),
        stream_(stream),
        settings_(settings),
        rows_at_once_(rows_at_once),
        sampler_(settings.sampler, model->config().text.vocab_size, weight_.device()),
        longest_(longest),
        rows_(static_cast<std::size_t>(rows)),
        cache_(model->config().text, rows, longest + settings.max_new_tokens, weight_.options().requires_grad(false)) {}

  void run(std::vector<GenerationPrompt> first) {
    std::vector<int64_t> slots(first.size());
    std::iota(slots.begin(), slots.end(), int64_t{0});
    begin(std::move(first), slots);
    for (;;) {
      while (refill()) {
      }
      if (std::ranges::none_of(rows_, &Row::busy)) return;
      shrink();
      std::vector<Row*> all;
      for (Row& row : rows_) all.push_back(&row);
      note(decode(), all);
    }
  }

 private:
  at::Device device() const { return weight_.device(); }

  at::Tensor on_device(int64_t (*field)(const Row&)) const {
    std::vector<int64_t> values;
    for (const Row& row : rows_) values.push_back(field(row));
    return at::tensor(values, at::kLong).to(device());
  }

  /// Numbers for the next tokens of rows: [N, B]; not needed for the likeliest tokens.
  at::Tensor uniforms(const std::vector<Row*>& rows, int64_t tokens) const {
    at::Tensor result = at::zeros({tokens, std::ssize(rows)}, at::kDouble);
    if (settings_.sampler.temperature == 0) return result.to(device());
    const CounterRandom random(settings_.seed, RandomUse::kToken);
    auto value = result.accessor<double, 2>();
    for (int64_t b = 0; b < std::ssize(rows); ++b) {
      const Row& row = *rows[static_cast<std::size_t>(b)];
      for (int64_t n = 0; n < tokens; ++n) {
        value[n][b] = random.uniform(row.prompt.step, row.prompt.prompt, row.prompt.first_generation,
                                     static_cast<uint32_t>(row.count() + n));
      }
    }
    return result.to(device());
  }

  /// Samples a token of each row: ids [B] and traces [B, 5].
  std::pair<at::Tensor, at::Tensor> sample(const at::Tensor& logits_BV, const at::Tensor& uniforms_B) const {
    if (settings_.each_token) settings_.each_token();
    const at::Tensor raw = raw_logits(logits_BV);
    const at::Tensor scores = sampler_.scores(raw);
    const at::Tensor ids = sampler_.sample(scores, uniforms_B);
    return {ids, token_traces(raw, scores, ids, settings_.answer_tokens)};
  }

  /// Gives free rows the next prompts; false if there are no free rows or no prompts for them.
  bool refill() {
    std::vector<int64_t> slots;
    for (std::size_t b = 0; b < rows_.size(); ++b) {
      if (!rows_[b].busy) slots.push_back(static_cast<int64_t>(b));
    }
    if (slots.empty()) return false;
    make_room(stream_.next_length());
    std::vector<GenerationPrompt> prompts = stream_.take(std::ssize(slots), longest_);
    if (prompts.empty()) return false;
    slots.resize(prompts.size());
    begin(std::move(prompts), slots);
    return true;
  }

  /// A longer prompt gets its room where so many rows may have it; else it waits until all of them have ended.
  void make_room(int64_t length) {
    if (length <= longest_ || rows_at_once_(length) < std::ssize(rows_)) return;
    longest_ = length;
    cache_.grow(longest_ + settings_.max_new_tokens);
  }

  /// Computes prompts in the given rows, and their first tokens.
  void begin(std::vector<GenerationPrompt> prompts, const std::vector<int64_t>& slots) {
    const PromptPass pass = pack_prompts(prompts, model_->config(), device());
    const at::Tensor hidden =
        model_->hidden(pass.packed, cache_.prefill(pass.packed.spans, slots)).index_select(0, pass.last_J);
    std::vector<Row*> fresh;
    for (std::size_t j = 0; j < prompts.size(); ++j) {
      Row& row = rows_[static_cast<std::size_t>(slots[j])];
      prompts[j].ids.clear();
      prompts[j].features_MD.reset();
      row = {true, std::move(prompts[j]), {}, pass.lengths[j], pass.next_J[static_cast<int64_t>(j)].item<int64_t>()};
      fresh.push_back(&row);
    }
    const auto [ids, trace] = sample(model_->logits(hidden), uniforms(fresh, 1)[0]);
    note({ids.unsqueeze(0), trace.unsqueeze(0)}, fresh);
  }

  /// The next tokens of all rows: one, or on a GPU a block that no row is too short for.
  Block decode() {
    int64_t tokens = device().is_cpu() ? 1 : kEndTestEvery;
    int64_t longest = 0;
    std::vector<Row*> all;
    for (Row& row : rows_) {
      all.push_back(&row);
      longest = std::max(longest, row.length);
      if (row.busy) tokens = std::min(tokens, settings_.max_new_tokens - row.count());
    }
    at::Tensor ids_B = on_device([](const Row& row) { return row.busy ? row.completion.ids.back() : 0; });
    const at::Tensor lengths_B = on_device([](const Row& row) { return row.length; });
    const Rotary rotary = block_rotary(tokens);
    const at::Tensor uniforms_NB = uniforms(all, tokens);
    std::vector<at::Tensor> ids, traces;
    for (int64_t n = 0; n < tokens; ++n) {
      PackedTokens packed;
      packed.ids_T = ids_B;
      packed.rotary = {rotary.cos_TD[n], rotary.sin_TD[n]};
      const at::Tensor hidden = model_->hidden(packed, cache_.decode(lengths_B + n, longest + n));
      const auto [next, trace] = sample(model_->logits(hidden), uniforms_NB[n]);
      ids_B = next;
      ids.push_back(next);
      traces.push_back(trace);
    }
    for (Row& row : rows_) {
      row.length += row.busy ? tokens : 0;
      row.next_position += tokens;
    }
    return {at::stack(ids), at::stack(traces)};
  }

  /// Rotary tables of the next tokens of all rows: [N, B, head size].
  Rotary block_rotary(int64_t tokens) const {
    const at::Tensor next_B = on_device([](const Row& row) { return row.next_position; });
    const at::Tensor positions_NB = at::arange(tokens, next_B.options()).unsqueeze(1) + next_B;
    const Rotary all = mrope(positions_NB.flatten().expand({3, -1}), model_->config().text, weight_.scalar_type());
    const auto by_token = [&](const at::Tensor& x_TD) { return x_TD.unflatten(0, positions_NB.sizes()); };
    return {by_token(all.cos_TD), by_token(all.sin_TD)};
  }

  /// Adds a block's tokens to the completions of busy rows and gives away those that have ended.
  void note(const Block& block, const std::vector<Row*>& rows) {
    const at::Tensor ids_NB = block.ids_NB.cpu(), trace_NB5 = block.trace_NB5.cpu();
    const auto id = ids_NB.accessor<int64_t, 2>();
    const auto trace = trace_NB5.accessor<double, 3>();
    const std::vector<int64_t>& ends = model_->config().eos_token_ids;
    for (int64_t b = 0; b < std::ssize(rows); ++b) {
      Row& row = *rows[static_cast<std::size_t>(b)];
      for (int64_t n = 0; n < ids_NB.size(0) && row.busy; ++n) {
        row.completion.ids.push_back(id[n][b]);
        const auto t = trace[n][b];
        row.completion.trace.push_back({t[0], t[1], t[2], t[3], t[4]});
        const bool ended = std::ranges::find(ends, id[n][b]) != ends.end();
        if (!ended && row.count() < settings_.max_new_tokens) continue;
        row.completion.truncated = !ended;
        row.busy = false;
        row.length = 0;
        stream_.give(row.prompt.prompt, std::move(row.completion));
      }
    }
  }

  /// Drops free rows when no prompt is left, if that makes the batch small enough to be worth copying the cache.
  void shrink() {
    std::vector<int64_t> busy;
    for (std::size_t b = 0; b < rows_.size(); ++b) {
      if (rows_[b].busy) busy.push_back(static_cast<int64_t>(b));
    }
    if (static_cast<double>(busy.size()) > kShrinkAt * static_cast<double>(rows_.size())) return;
    if (stream_.next_length() != 0) return;
    cache_.keep(at::tensor(busy, at::kLong).to(device()));
    std::erase_if(rows_, [](const Row& row) { return !row.busy; });
  }

  Qwen2Vl& model_;
  at::Tensor weight_;  ///< a weight of the model, for its device and dtype
  PromptStream& stream_;
  const GenerationSettings& settings_;
  const RowsAtOnce& rows_at_once_;
  Sampler sampler_;
  int64_t longest_;  ///< prompt tokens that a row has room for
  std::vector<Row> rows_;
  RowCache cache_;
};

}  // namespace

void generate_stream(Qwen2Vl& model, PromptStream& stream, const GenerationSettings& settings,
                     const RowsAtOnce& rows_at_once) {
  const at::NoGradGuard no_grad;
  const bool was_training = model->is_training();
  model->eval();
  while (const int64_t longest = stream.next_length()) {
    std::vector<GenerationPrompt> first = stream.take(rows_at_once(longest), longest);
    StreamGenerator(model, stream, settings, rows_at_once, longest, std::ssize(first)).run(std::move(first));
  }
  model->train(was_training);
}

}  // namespace lriad

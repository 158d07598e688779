#include "lriad/eval/evaluator.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/eval/operating_point.h"
#include "lriad/eval/predictions.h"
#include "lriad/grpo/answers.h"

namespace lriad {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kTokenBudget = 8192;  // prompt and answer tokens of an automatic batch: under 1 GiB of cache at 7B
constexpr int64_t kLargestBatch = 64;
constexpr int64_t kPrefetch = 64;
constexpr double kSecondsBetweenLines = 15;

Prediction make_prediction(const Sample& sample, const PreparedSample& prepared, const RawAnswer& raw,
                           const Tokenizer& tokenizer, const EvaluateOptions& options) {
  Prediction p = prediction_of(sample);
  p.text = tokenizer.decode(raw.ids, /*skip_special=*/true);
  p.verdict = verdict_at(verdict_of(tokenizer, raw.ids, raw.truncated), raw.score, options.threshold);
  p.score = raw.score;
  p.length = static_cast<int64_t>(raw.ids.size());
  p.truncated = raw.truncated;
  if (options.keep_token_ids) {
    p.prompt_ids = prepared.prompt_ids;
    p.completion_ids = raw.ids;
  }
  if (options.keep_logprobs) p.logprobs = raw.logprobs;
  return p;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  char text[32];
  std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(whole / 3600), static_cast<int>(whole / 60 % 60),
                static_cast<int>(whole % 60));
  return text;
}

/// Says how far the evaluation is.
class Progress {
 public:
  Progress(int64_t total, bool shown) : total_(total), shown_(shown), start_(Clock::now()), last_line_(start_) {}
  ~Progress() {
    if (shown_) set_status_line("");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done) {
    if (!shown_ || done == 0) return;
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = static_cast<double>(done) / std::max(seconds, 1e-6);
    char speed[64];
    std::snprintf(speed, sizeof speed, "%3d%%  %.1f images/s", static_cast<int>(100 * done / total_), rate);
    const std::string text = concat("evaluating ", done, "/", total_, "  ", speed, "  ",
                                    clock_text(static_cast<double>(total_ - done) / rate), " left");
    set_status_line(text);
    if (!stderr_is_terminal() && std::chrono::duration<double>(now - last_line_).count() >= kSecondsBetweenLines) {
      log_info(text);
      last_line_ = now;
    }
  }

 private:
  int64_t total_;
  bool shown_;
  Clock::time_point start_, last_line_;
};

class Evaluator {
 public:
  Evaluator(const Dataset& dataset, const Tokenizer& tokenizer, const AnswerFunction& answer,
            const EvaluateOptions& options, const PredictionSink& sink)
      : dataset_(dataset), tokenizer_(tokenizer), answer_(answer), options_(options), sink_(sink) {}

  std::vector<Prediction> run(const std::vector<int64_t>& indices, const SamplePreparer& preparer) {
    const auto total = static_cast<int64_t>(indices.size());
    Prefetcher prefetcher(dataset_, preparer, options_.num_threads, kPrefetch);
    for (const int64_t index : indices) prefetcher.request(index);
    Progress progress(total, options_.show_progress);
    for (const int64_t index : indices) {
      take(prefetcher.next(), index);
      progress.update(done());
    }
    answer_batch();
    progress.update(done());
    return std::move(predictions_);
  }

 private:
  int64_t done() const { return static_cast<int64_t>(predictions_.size()); }

  void take(Prefetcher::Result next, int64_t index) {
    if (next.fault == Fault::kPrompt) throw Error(next.error);
    if (next.fault == Fault::kImage) {
      note_unreadable(next.error, dataset_.samples[static_cast<size_t>(index)]);
      return;
    }
    const int64_t tokens = static_cast<int64_t>(next.sample.prompt_ids.size()) + options_.max_new_tokens;
    if (!fits(tokens)) answer_batch();
    batch_.push_back(std::move(next.sample));
    batch_tokens_ += tokens;
  }

  void note_unreadable(const std::string& error, const Sample& sample) {
    if (options_.bad_image == BadImage::kFail) throw Error(error);
    log_warning(concat("skipped ", sample.image, ": ", error));
    answer_batch();  // so that the predictions keep the order of the images
    Prediction prediction = prediction_of(sample);
    prediction.error = error;
    add(std::move(prediction));
  }

  void add(Prediction&& prediction) {
    predictions_.push_back(std::move(prediction));
    if (sink_) sink_(predictions_.back());
  }

  bool fits(int64_t tokens) const {
    const auto rows = static_cast<int64_t>(batch_.size());
    if (options_.batch_size > 0) return rows < options_.batch_size;
    return rows == 0 || (rows < kLargestBatch && batch_tokens_ + tokens <= kTokenBudget);
  }

  void answer_batch() {
    if (batch_.empty()) return;
    const std::vector<RawAnswer> answers = answer_(batch_);
    std::vector<HeatMap> maps = options_.maps ? options_.maps(batch_, answers) : std::vector<HeatMap>();
    for (size_t i = 0; i < batch_.size(); ++i) {
      const Sample& sample = dataset_.samples[static_cast<size_t>(batch_[i].index)];
      Prediction prediction = make_prediction(sample, batch_[i], answers.at(i), tokenizer_, options_);
      if (options_.maps) {
        prediction.map = std::move(maps.at(i));
        if (options_.keep_map) options_.keep_map(batch_[i].index, *prediction.map);
      }
      add(std::move(prediction));
    }
    batch_.clear();
    batch_tokens_ = 0;
  }

  const Dataset& dataset_;
  const Tokenizer& tokenizer_;
  const AnswerFunction& answer_;
  const EvaluateOptions& options_;
  const PredictionSink& sink_;
  std::vector<PreparedSample> batch_;
  int64_t batch_tokens_ = 0;
  std::vector<Prediction> predictions_;
};

}  // namespace

int64_t prompts_at_once(int64_t batch_size, int64_t prompt_tokens, int64_t max_new_tokens) {
  if (batch_size > 0) return batch_size;
  return std::clamp<int64_t>(kTokenBudget / (prompt_tokens + max_new_tokens), 1, kLargestBatch);
}

std::vector<Prediction> evaluate(const Dataset& dataset, const std::vector<int64_t>& indices,
                                 const SamplePreparer& preparer, const Tokenizer& tokenizer,
                                 const AnswerFunction& answer, const EvaluateOptions& options,
                                 const PredictionSink& sink) {
  return Evaluator(dataset, tokenizer, answer, options, sink).run(indices, preparer);
}

}  // namespace lriad

#include "lriad/eval/evaluator.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>

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
constexpr int64_t kWindow = 64;
constexpr int64_t kMapsAtOnce = 16;
constexpr double kSecondsBetweenLines = 15;

Prediction make_prediction(const Sample& sample, const RawAnswer& raw, const Tokenizer& tokenizer,
                           const EvaluateOptions& options) {
  Prediction p = prediction_of(sample);
  p.text = tokenizer.decode(raw.ids, /*skip_special=*/true);
  p.verdict = verdict_at(verdict_of(tokenizer, raw.ids, raw.truncated), raw.score, options.threshold);
  p.score = raw.score;
  p.length = static_cast<int64_t>(raw.ids.size());
  p.truncated = raw.truncated;
  if (options.keep_token_ids) p.completion_ids = raw.ids;
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

  void update(int64_t done, int64_t tokens) {
    if (!shown_ || done == 0) return;
    const Clock::time_point now = Clock::now();
    const double seconds = std::max(std::chrono::duration<double>(now - start_).count(), 1e-6);
    const double rate = static_cast<double>(done) / seconds;
    char speed[96];
    std::snprintf(speed, sizeof speed, "%3d%%  %.1f images/s  %.0f tokens/s", static_cast<int>(100 * done / total_),
                  rate, static_cast<double>(tokens) / seconds);
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

/// Gives samples in windows that are sorted by the length of their prompts, the longest first, and puts the answers
/// back into the order of `indices`.
class Evaluator : public AnswerDesk {
 public:
  Evaluator(const Dataset& dataset, const std::vector<int64_t>& indices, const SamplePreparer& preparer,
            const Tokenizer& tokenizer, const EvaluateOptions& options, const PredictionSink& sink)
      : dataset_(dataset),
        indices_(indices),
        tokenizer_(tokenizer),
        options_(options),
        sink_(sink),
        prefetcher_(dataset, preparer, options.num_threads, kPrefetch),
        progress_(std::ssize(indices), options.show_progress) {
    for (const int64_t index : indices) prefetcher_.request(index);
  }

  std::vector<Prediction> run(const AnswerFunction& answer) {
    try {
      answer(*this);
      make_maps();
    } catch (...) {
      for (auto& [index, prediction] : waiting_) add(std::move(prediction));
      throw;
    }
    return std::move(predictions_);
  }

  int64_t next_length() override {
    if (window_.empty()) fill_window();
    return window_.empty() ? 0 : std::ssize(window_.front().prompt_ids);
  }

  std::vector<PreparedSample> take(int64_t most, int64_t longest) override {
    std::vector<PreparedSample> samples;
    while (std::ssize(samples) < most) {
      const int64_t length = next_length();
      if (length == 0 || length > longest) break;
      PreparedSample& next = window_.front();
      if (options_.maps) {
        asked_[next.index] = next;
      } else {
        if (options_.keep_token_ids) asked_[next.index].prompt_ids = next.prompt_ids;
        if (!next.reference_images.empty()) asked_[next.index].reference_images = next.reference_images;
      }
      samples.push_back(std::move(next));
      window_.pop_front();
    }
    return samples;
  }

  void give(int64_t index, RawAnswer&& answer) override {
    const Sample& sample = dataset_.samples[static_cast<size_t>(index)];
    Prediction prediction = make_prediction(sample, answer, tokenizer_, options_);
    num_tokens_ += prediction.length;
    if (options_.keep_token_ids) prediction.prompt_ids = asked_[index].prompt_ids;
    if (dataset_.references) prediction.reference = asked_[index].reference_images;
    if (options_.maps) {
      answered_.push_back({std::move(asked_[index]), std::move(answer), std::move(prediction)});
    } else {
      put(index, std::move(prediction));
    }
    asked_.erase(index);
    if (std::ssize(answered_) >= kMapsAtOnce) make_maps();
  }

 private:
  struct Answered {
    PreparedSample sample;
    RawAnswer answer;
    Prediction prediction;
  };

  /// Makes the maps of answers that wait for theirs.
  void make_maps() {
    std::vector<PreparedSample> samples;
    std::vector<RawAnswer> answers;
    for (Answered& one : answered_) {
      samples.push_back(std::move(one.sample));
      answers.push_back(std::move(one.answer));
    }
    if (samples.empty()) return;
    std::vector<HeatMap> maps = options_.maps(samples, answers);
    for (size_t i = 0; i < samples.size(); ++i) {
      Prediction& prediction = answered_[i].prediction;
      prediction.map = std::move(maps.at(i));
      if (options_.keep_map) options_.keep_map(samples[i].index, *prediction.map);
      put(samples[i].index, std::move(prediction));
    }
    answered_.clear();
  }

  void fill_window() {
    for (; num_fetched_ < std::ssize(indices_) && std::ssize(window_) < kWindow; ++num_fetched_) {
      PrepareResult next = prefetcher_.next();
      if (next.fault == Fault::kPrompt) throw Error(next.error);
      if (next.fault == Fault::kImage) {
        note_unreadable(next.error, next.sample.index);
      } else {
        window_.push_back(std::move(next.sample));
      }
    }
    std::ranges::stable_sort(window_, std::greater(), [](const PreparedSample& s) { return s.prompt_ids.size(); });
  }

  void note_unreadable(const std::string& error, int64_t index) {
    if (options_.bad_image == BadImage::kFail) throw Error(error);
    const Sample& sample = dataset_.samples[static_cast<size_t>(index)];
    log_warning(concat("skipped ", sample.image, ": ", error));
    Prediction prediction = prediction_of(sample);
    prediction.error = error;
    put(index, std::move(prediction));
  }

  /// Adds a prediction as soon as those before it are there.
  void put(int64_t index, Prediction&& prediction) {
    waiting_.emplace(index, std::move(prediction));
    while (predictions_.size() < indices_.size()) {
      const auto next = waiting_.find(indices_[predictions_.size()]);
      if (next == waiting_.end()) break;
      add(std::move(next->second));
      waiting_.erase(next);
    }
    progress_.update(std::ssize(predictions_), num_tokens_);
  }

  void add(Prediction&& prediction) {
    predictions_.push_back(std::move(prediction));
    if (sink_) sink_(predictions_.back());
  }

  const Dataset& dataset_;
  const std::vector<int64_t>& indices_;
  const Tokenizer& tokenizer_;
  const EvaluateOptions& options_;
  const PredictionSink& sink_;
  Prefetcher prefetcher_;
  Progress progress_;
  std::deque<PreparedSample> window_;  ///< samples to give, the longest prompt first
  int64_t num_fetched_ = 0, num_tokens_ = 0;
  std::map<int64_t, PreparedSample> asked_;  ///< what of samples without an answer is needed later, by index
  std::vector<Answered> answered_;           ///< wait for their maps
  std::map<int64_t, Prediction> waiting_;    ///< for those before them, by index
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
  return Evaluator(dataset, indices, preparer, tokenizer, options, sink).run(answer);
}

}  // namespace lriad

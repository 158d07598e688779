#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"
#include "lriad/eval/metrics.h"
#include "lriad/text/tokenizer.h"

namespace lriad {

/// The model's completion for one prompt.
struct RawAnswer {
  std::vector<int64_t> ids;      ///< ends with the end token if one was generated
  std::vector<double> logprobs;  ///< log-probability of each id in nats; see model_answers()
  std::optional<double> score;   ///< probability of A against B at the answer token; null if there is none
  bool truncated = false;        ///< true if no end token came within max_new_tokens
};

/// Samples on their way to a model, and its answers on their way back.
class AnswerDesk {
 public:
  virtual ~AnswerDesk() = default;
  /// Prompt tokens of the sample that is next; 0: there is none left. Waits for its images.
  virtual int64_t next_length() = 0;
  /// The next samples, at most `most`, up to the first whose prompt has more than `longest` tokens.
  virtual std::vector<PreparedSample> take(int64_t most, int64_t longest) = 0;
  virtual void give(int64_t index, RawAnswer&& answer) = 0;  ///< to the sample of that PreparedSample::index
};

/// Takes all samples of a desk and gives an answer to each; model_answers() in eval/model_answers.h makes such a
/// function of a model.
using AnswerFunction = std::function<void(AnswerDesk&)>;

/// Heat maps of a batch of answered prompts, in their order; model_maps() in eval/model_maps.h makes such a function.
using MapFunction = std::function<std::vector<HeatMap>(std::span<const PreparedSample>, std::span<const RawAnswer>)>;

struct EvaluateOptions {
  BadImage bad_image = BadImage::kSkip;
  std::optional<double> threshold;  ///< a valid answer is a defect if its score is at least this; null: what it says
  bool keep_token_ids = false;      ///< fill prompt_ids and completion_ids
  bool keep_logprobs = false;       ///< fill logprobs
  MapFunction maps;                 ///< makes the maps of the answers; empty: none
  std::function<void(int64_t index, HeatMap&)> keep_map;  ///< called with each map, which may name its overlay
  bool show_progress = true;                              ///< status line on a terminal, else a log line now and then
  int64_t num_threads = 2;                                ///< that decode images ahead of the model
};

/// How many prompts of `prompt_tokens` tokens are answered at once: `batch_size`, or with 0 as many as fit a token
/// budget, at most 64.
int64_t prompts_at_once(int64_t batch_size, int64_t prompt_tokens, int64_t max_new_tokens);

/// Called with each prediction as soon as it and all before it are there.
using PredictionSink = std::function<void(const Prediction&)>;

/// Answers for dataset.samples[i] of all i in `indices`, in their order. A bad image is logged by name and has the
/// reason as `error`, or throws Error (bad_image: fail). If anything is thrown, `sink` gets the answers that are there.
std::vector<Prediction> evaluate(const Dataset& dataset, const std::vector<int64_t>& indices,
                                 const SamplePreparer& preparer, const Tokenizer& tokenizer,
                                 const AnswerFunction& answer, const EvaluateOptions& options,
                                 const PredictionSink& sink = {});

}  // namespace lriad

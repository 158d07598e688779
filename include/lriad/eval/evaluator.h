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

/// Answers a batch of prompts, in their order; model_answers() in eval/model_answers.h makes such a function of a
/// model.
using AnswerFunction = std::function<std::vector<RawAnswer>(std::span<const PreparedSample>)>;

/// Heat maps of a batch of answered prompts, in their order; model_maps() in eval/model_maps.h makes such a function.
using MapFunction = std::function<std::vector<HeatMap>(std::span<const PreparedSample>, std::span<const RawAnswer>)>;

struct EvaluateOptions {
  int64_t batch_size = 0;        ///< prompts at once; 0: as many as fit a token budget, at most 64
  int64_t max_new_tokens = 256;  ///< counts towards the budget
  BadImage bad_image = BadImage::kSkip;
  std::optional<double> threshold;  ///< a valid answer is a defect if its score is at least this; null: what it says
  bool keep_token_ids = false;      ///< fill prompt_ids and completion_ids
  bool keep_logprobs = false;       ///< fill logprobs
  MapFunction maps;                 ///< makes the maps of the answers; empty: none
  std::function<void(int64_t index, HeatMap&)> keep_map;  ///< called with each map, which may name its picture
  bool show_progress = true;                              ///< status line on a terminal, else a log line now and then
  int64_t num_threads = 2;                                ///< that decode images ahead of the model
};

/// How many prompts of `prompt_tokens` tokens evaluate() asks about at once.
int64_t prompts_at_once(int64_t batch_size, int64_t prompt_tokens, int64_t max_new_tokens);

/// Called with each prediction as soon as it is there, in order.
using PredictionSink = std::function<void(const Prediction&)>;

/// Answers for dataset.samples[i] of all i in `indices`, in their order. A bad image is logged by name and has the
/// reason as `error`, or throws Error (bad_image: fail).
std::vector<Prediction> evaluate(const Dataset& dataset, const std::vector<int64_t>& indices,
                                 const SamplePreparer& preparer, const Tokenizer& tokenizer,
                                 const AnswerFunction& answer, const EvaluateOptions& options,
                                 const PredictionSink& sink = {});

}  // namespace lriad

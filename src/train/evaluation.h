#pragma once

#include "lriad/dist/communicator.h"
#include "lriad/eval/metrics.h"
#include "lriad/eval/report.h"
#include "lriad/run/metrics_log.h"
#include "lriad/run/run_context.h"
#include "lriad/run/tensorboard.h"

namespace lriad {

/// What an evaluation during training found.
struct Evaluation {
  std::vector<Prediction> predictions;  ///< of all evaluation data, in their order
  MetricsReport report;
};

/// Evaluates the present model on the evaluation data, divided among the ranks; the result is equal on every rank.
Evaluation evaluate_model(RunContext& context, Communicator& communicator);

/// The report about an evaluation after `step`, with the curves of metrics.jsonl until now. `best`: the checkpoint is
/// chosen by this evaluation.
ReportInput evaluation_report(const Evaluation& evaluation, const RunContext& context, int64_t step, bool best);

/// A few answers with their images for TensorBoard: of the first two images of each label, the same at each evaluation.
std::vector<EventExample> evaluation_examples(const Evaluation& evaluation, const RunContext& context);

/// The metrics `eval_…` of a report that metrics.jsonl shows, train.metric_for_best_model among them.
Metrics evaluation_metrics(const MetricsReport& report, const TrainSection& section);

}  // namespace lriad

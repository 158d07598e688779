#pragma once

#include "lriad/dist/communicator.h"
#include "lriad/eval/metrics.h"
#include "lriad/run/metrics_log.h"
#include "lriad/run/run_context.h"

namespace lriad {

/// Evaluates the present model on the evaluation data, divided among the ranks. Returns the report over all images,
/// equal on every rank.
MetricsReport evaluate_model(RunContext& context, Communicator& communicator);

/// The metrics `eval_…` of a report that metrics.jsonl shows, train.metric_for_best_model among them.
Metrics evaluation_metrics(const MetricsReport& report, const TrainSection& section);

}  // namespace lriad

#include "evaluation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lriad/eval/evaluator.h"
#include "lriad/eval/model_answers.h"
#include "lriad/eval/predictions.h"

namespace lriad {

Evaluation evaluate_model(RunContext& m, Communicator& communicator) {
  const EvalSection& section = m.config.eval;
  const AnswerFunction answer =
      model_answers(m.model, m.tokenizer,
                    {section.max_new_tokens, section.temperature, m.config.rollout.ban_vision_tokens, m.config.seed,
                     section.batch_size, [&] { communicator.check(); }, &m.features});
  EvaluateOptions options;
  options.bad_image = m.config.eval_data->bad_image;
  options.show_progress = communicator.is_main();
  std::vector<int64_t> indices;
  for (int64_t i = communicator.rank(); i < static_cast<int64_t>(m.eval_data->samples.size());
       i += communicator.size()) {
    indices.push_back(i);
  }
  const std::vector<Prediction> own = evaluate(*m.eval_data, indices, m.preparer, m.tokenizer, answer, options);
  nlohmann::json lines = nlohmann::json::array();
  for (const Prediction& prediction : own) lines.push_back(prediction_line(prediction));
  Evaluation evaluation;
  evaluation.predictions.resize(m.eval_data->samples.size());
  size_t rank = 0;
  for (const std::string& bytes : communicator.gather(lines.dump(), "evaluation")) {
    size_t index = rank++;
    for (const auto& line : nlohmann::json::parse(bytes)) {
      evaluation.predictions.at(index) = parse_prediction(line.get<std::string>());
      index += static_cast<size_t>(communicator.size());
    }
  }
  const auto policy = section.invalid_extra_class ? InvalidPolicy::kExtraClass : InvalidPolicy::kWrong;
  evaluation.report = compute_metrics(evaluation.predictions, policy);
  return evaluation;
}

Metrics evaluation_metrics(const MetricsReport& report, const TrainSection& section) {
  Metrics metrics;
  for (const char* name :
       {"accuracy", "f1_macro", "balanced_accuracy", "recall", "specificity", "auroc", "invalid_rate"}) {
    metrics.emplace_back(std::string("eval_") + name, metric_by_name(report.overall, name));
  }
  for (size_t i = 0; i < kFalseAlarmShares.size(); ++i) {
    metrics.emplace_back(concat("eval_recall_at_false_alarms_", kFalseAlarmShares[i]),
                         report.overall.recall_at_false_alarms[i]);
  }
  const std::string& best = section.metric_for_best_model;
  const std::string key = "eval_" + best;
  if (std::ranges::none_of(metrics, [&](const auto& one) { return one.first == key; })) {
    metrics.emplace_back(key, metric_by_name(report.overall, best));
  }
  return metrics;
}

}  // namespace lriad

#include "lriad/run/metrics_log.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/run/tensorboard.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}

Json numbers(const std::optional<std::vector<double>>& values) { return values ? numbers(*values) : Json(nullptr); }

}  // namespace

StepMetrics::StepMetrics(int64_t step, double epoch) : step_(step) { add("epoch", epoch); }

void StepMetrics::add(const std::string& name, double value) { entries_.push_back({name, Kind::kNumber, value, 0}); }
void StepMetrics::add_count(const std::string& name, int64_t value) {
  entries_.push_back({name, Kind::kCount, 0, value});
}
void StepMetrics::add(const Metrics& metrics) {
  for (const auto& [name, value] : metrics) value ? add(name, *value) : add_null(name);
}
void StepMetrics::add_null(const std::string& name) { entries_.push_back({name, Kind::kNull, 0, 0}); }

std::string StepMetrics::json() const {
  Json line;
  Json nonfinite = Json::array();
  line["step"] = step_;
  for (const Entry& entry : entries_) {
    if (entry.kind == Kind::kCount) {
      line[entry.name] = entry.count;
    } else {
      line[entry.name] = entry.kind == Kind::kNumber ? number(entry.number) : Json(nullptr);
      if (entry.kind == Kind::kNumber && !std::isfinite(entry.number)) nonfinite.push_back(entry.name);
    }
  }
  if (!nonfinite.empty()) line["nonfinite"] = nonfinite;
  return json_line(line);
}

std::vector<std::pair<std::string, double>> StepMetrics::scalars() const {
  std::vector<std::pair<std::string, double>> finite;
  for (const Entry& entry : entries_) {
    const double value = entry.kind == Kind::kCount ? static_cast<double>(entry.count) : entry.number;
    if (entry.kind != Kind::kNull && std::isfinite(value)) finite.emplace_back(entry.name, value);
  }
  return finite;
}

std::string completion_json(const CompletionRecord& record) {
  Json rewards = Json::object();
  for (const auto& [component, value] : record.rewards) rewards[component] = number(value);
  Json line = {{"step", record.step},
               {"rank", record.rank},
               {"prompt_index", record.prompt_index},
               {"sample_id", record.sample_id},
               {"image", record.image},
               {"object", record.object},
               {"label", record.label},
               {"generation", record.generation},
               {"text", record.text},
               {"verdict", record.verdict},
               {"rewards", rewards},
               {"reward", number(record.reward)},
               {"p", record.p ? number(*record.p) : Json(nullptr)},
               {"advantage", number(record.advantage)},
               {"length", record.length},
               {"truncated", record.truncated}};
  if (!record.reference.empty()) line["reference"] = record.reference;
  if (record.tokens) {
    line["prompt_ids"] = record.tokens->prompt_ids;
    line["completion_ids"] = record.tokens->completion_ids;
    line["sampling_logprobs"] = numbers(record.tokens->sampling_logprobs);
    line["old_logprobs"] = numbers(record.tokens->old_logprobs);
    line["ref_logprobs"] = numbers(record.tokens->ref_logprobs);
    line["policy_logprobs"] = numbers(record.tokens->policy_logprobs);
  }
  return json_line(line);
}

RunLog::RunLog(const std::filesystem::path& run_dir, const LogSection& section)
    : metrics_("run", run_dir / "metrics.jsonl", LineFile::Mode::kAppend) {
  if (section.completions) completions_.emplace("run", run_dir / "completions.jsonl", LineFile::Mode::kAppend);
  if (section.tensorboard) events_ = std::make_unique<EventWriter>(run_dir);
}

RunLog::~RunLog() = default;

void RunLog::write(const StepMetrics& metrics) {
  metrics_.write_line(metrics.json());
  if (events_) events_->write(metrics.step(), metrics.scalars());
}

void RunLog::write_examples(int64_t step, const std::vector<EventExample>& examples) {
  if (events_) events_->write_examples(step, examples);
}

void RunLog::write_completion(const std::string& line) {
  if (completions_) completions_->write_line(line);
}

void RunLog::sync() {
  metrics_.sync();
  if (completions_) completions_->sync();
  if (events_) events_->sync();
}

}  // namespace lriad

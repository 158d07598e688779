#include "eval_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr int64_t kLargestBatch = 4096;

/// A YAML double-quoted string is JSON's.
std::string setting(const char* key, const std::string& value) {
  return concat(key, "=", nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int64_t parse_batch_size(const std::string& text) {
  if (text == "auto") return 0;
  int64_t size = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), size);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || size < 1 || size > kLargestBatch) {
    fail("app", "--batch-size is ", text, ", expected auto or 1 to ", kLargestBatch);
  }
  return size;
}

void check_sources(const EvalCommandLine& line) {
  if (!line.images.empty() && !line.data.empty()) fail("app", "--data and --images are both given, expected one of them");
  if (!line.images.empty() && line.object.empty()) fail("app", "--images needs --object NAME, which the prompt names");
  if (line.images.empty() && !line.object.empty()) fail("app", "--object goes with --images; labelled data name their objects");
  if (line.import_file.empty() && line.threshold) fail("app", "--threshold goes with --import, whose scores it judges");
  if (!line.import_file.empty() && !line.images.empty()) fail("app", "--import needs labels: give --data, not --images");
  if (!line.import_file.empty() && line.resume) fail("app", "--resume does not go with --import");
}

}  // namespace

void add_eval_options(CLI::App& app, EvalCommandLine& line) {
  app.add_option("--model", line.model, "folder of a Qwen2-VL model")->group("Model");
  app.add_option("--adapter", line.adapter, "PEFT folder (default: none, the model as it is)")->group("Model");
  app.add_option("--data", line.data, "data set with labels")->group("Data");
  app.add_option("--format", line.format, "mvtec, visa, folder or jsonl (default: mvtec)")->group("Data");
  app.add_option("--images", line.images, "files or folders without labels")->group("Data")->expected(1, 1 << 20);
  app.add_option("--object", line.object, "what --images show, as the prompt names it")->group("Data");
  app.add_option("--limit", line.limit, "only the first N pictures (default: all)")->group("Data");
  app.add_option("--max-new-tokens", line.max_new_tokens, "longest answer (default: 256)")->group("Answers");
  app.add_option("--temperature", line.temperature, "0 takes the likeliest token, above 0 samples (default: 0)")
      ->group("Answers");
  app.add_option("--batch-size", line.batch_size, "pictures at once, or auto (default: auto)")->group("Answers");
  app.add_option("--import", line.import_file, "score these predictions (CSV or JSONL) instead of asking a model")
      ->group("Answers");
  app.add_option("--threshold", line.threshold, "with --import: a score of at least this is a defect (default: 0.5 where "
                                                "there is no verdict)")
      ->group("Answers");
  app.add_option("--output", line.output, "folder for predictions.jsonl, metrics.json and report/ (default: eval)")
      ->group("Results");
  app.add_option("--invalid", line.invalid, "an invalid answer counts as wrong, or as an extra_class (default: wrong)")
      ->group("Results");
  app.add_flag("--logprobs", line.logprobs, "keep the log-probabilities of the tokens")->group("Results");
  app.add_flag("--token-ids", line.token_ids, "keep the ids of prompt and answer")->group("Results");
  app.add_flag("--resume", line.resume, "keep the answers that are in predictions.jsonl already")->group("Results");
  app.add_option("--config", line.configs, "YAML file with prompt, image, data and eval; later files win")->group("Config");
  app.add_option("--set", line.sets, "key.sub=value, over the files")->group("Config")->allow_extra_args(false);
}

void check_eval_options(const EvalCommandLine& line) {
  if (line.max_new_tokens && (*line.max_new_tokens < 1 || *line.max_new_tokens > 1 << 20)) {
    fail("app", "--max-new-tokens is ", *line.max_new_tokens, ", expected 1 to ", 1 << 20);
  }
  if (line.temperature && !(*line.temperature >= 0 && *line.temperature <= 100)) {
    fail("app", "--temperature is ", *line.temperature, ", expected 0 (greedy) to 100");
  }
  if (line.limit && *line.limit < 1) fail("app", "--limit is ", *line.limit, ", expected 1 or more");
  if (line.threshold && !std::isfinite(*line.threshold)) fail("app", "--threshold is not a number");
  if (!line.batch_size.empty()) parse_batch_size(line.batch_size);
  if (!line.invalid.empty() && line.invalid != "wrong" && line.invalid != "extra_class") {
    fail("app", "--invalid is ", line.invalid, ", expected wrong or extra_class");
  }
  check_sources(line);
}

std::vector<std::string> settings_of_options(const EvalCommandLine& line) {
  std::vector<std::string> sets;
  if (!line.model.empty()) sets.push_back(setting("model.path", line.model));
  if (!line.adapter.empty()) sets.push_back(setting("model.adapter", line.adapter));
  if (!line.data.empty()) sets.push_back(setting("data.root", line.data));
  if (!line.format.empty()) sets.push_back(setting("data.format", line.format));
  if (!line.output.empty()) sets.push_back(setting("output_dir", line.output));
  if (line.max_new_tokens) sets.push_back(concat("eval.max_new_tokens=", *line.max_new_tokens));
  if (line.temperature) sets.push_back(concat("eval.temperature=", nlohmann::json(*line.temperature).dump()));
  if (!line.batch_size.empty()) sets.push_back(concat("eval.batch_size=", parse_batch_size(line.batch_size)));
  if (!line.invalid.empty()) {
    sets.push_back(concat("eval.invalid_extra_class=", line.invalid == "extra_class" ? "true" : "false"));
  }
  return sets;
}

}  // namespace lriad

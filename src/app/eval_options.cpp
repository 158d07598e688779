#include "eval_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lriad/config/data_formats.h"
#include "lriad/config/prompt_template.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/model/model_folder.h"

namespace lriad {
namespace {

constexpr int64_t kLargestBatch = 4096;
constexpr int64_t kLongestAnswer = 1 << 20;

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
  const bool images = !line.images.empty(), import = !line.import_file.empty();
  if (images && !line.data.empty()) fail("app", "--data and --images are both given, expected one of them");
  if (images && !line.format.empty()) fail("app", "--format goes with --data, not with --images");
  if (images && line.object.empty()) fail("app", "--images needs --object NAME, which the prompt names");
  if (!images && !line.object.empty()) fail("app", "--object goes with --images; labelled data name their objects");
  if (!import && line.partial) fail("app", "--partial goes with --import, which then need not cover all images");
  const bool asks = images || import || !line.model.empty() || !line.data.empty();
  if (!line.compare.empty() && asks) fail("app", "--compare reads what two runs wrote: give it without model and data");
  if (line.watch && !images) fail("app", "--watch goes with --images FOLDER and --object NAME");
  if (line.watch && line.limit) fail("app", "--limit does not go with --watch, which ends at a signal");
  if (import && images) fail("app", "--import needs labels: give --data, not --images");
  if (line.maps && (import || !line.compare.empty())) fail("app", "--maps needs a model, whose answers it explains");
  if (import && line.resume) fail("app", "--resume does not go with --import");
}

void check_present(const EvalCommandLine& line, const Config& config) {
  if (!line.compare.empty() || only_paper(line)) return;
  if (line.images.empty() && config.data.root.empty()) {
    fail("app", "no images are given, expected --data ROOT with --format, or --images FILES with --object");
  }
  if (line.import_file.empty() && config.model.path.empty()) {
    fail("app", "no model is given, expected --model DIR, or --import FILE to score predictions");
  }
}

void add_model_and_data(CLI::App& app, EvalCommandLine& line) {
  app.add_option("--model", line.model, "folder of the model (default: model.path)")->group("Model");
  app.add_option("--adapter", line.adapter, "PEFT folder (default: model.adapter; none, the model as it is)")
      ->group("Model");
  app.add_option("--dtype", line.dtype, "bfloat16, float32 or float64 (default: model.dtype, bfloat16)")
      ->group("Model");
  app.add_option("--data", line.data, "data set with labels (default: data.root)")->group("Data");
  app.add_option("--format", line.format, data_format_names(", ") + " (default: data.format, mvtec)")->group("Data");
  app.add_option("--images", line.images, "files or folders without labels (default: none)")
      ->group("Data")
      ->expected(1, 1 << 20);
  app.add_option("--object", line.object, "what --images show, as the prompt names it (no default)")->group("Data");
  app.add_flag("--watch", line.watch,
               "keep the model and answer the images that come into the folders of --images, until a signal ends it "
               "(default: off)")
      ->group("Data");
  app.add_option("--limit", line.limit, "N images, spread over objects and labels by the seed (default: all)")
      ->group("Data");
}

void check_threshold(const EvalCommandLine& line) {
  const auto is_share = [](const std::optional<double>& value) { return !value || (*value >= 0 && *value <= 1); };
  if (line.threshold && !std::isfinite(*line.threshold)) fail("app", "--threshold is not a number");
  if (!is_share(line.max_false_alarms))
    fail("app", "--max-false-alarms is ", *line.max_false_alarms, ", expected 0 to 1");
  if (!is_share(line.min_recall)) fail("app", "--min-recall is ", *line.min_recall, ", expected 0 to 1");
  const int rules = (line.max_false_alarms ? 1 : 0) + (line.min_recall ? 1 : 0);
  if (line.save_threshold && (line.threshold_from.empty() || !line.import_file.empty()))
    fail("app", "--save-threshold goes with --threshold-from and a model");
  if (line.threshold_from.empty()) {
    if (rules > 0) fail("app", "--max-false-alarms and --min-recall go with --threshold-from SPLIT");
    return;
  }
  if (rules != 1) fail("app", "--threshold-from needs one of --max-false-alarms and --min-recall");
  if (line.threshold) fail("app", "--threshold and --threshold-from are both given, expected one of them");
  if (!line.images.empty()) fail("app", "--threshold-from needs labels: give --data, not --images");
}

std::optional<ModelSettings> trained_settings(const Config& config) {
  if (config.model.adapter) {
    if (auto settings = read_model_settings(*config.model.adapter)) return settings;
  }
  return read_model_settings(config.model.path);
}

}  // namespace

bool only_paper(const EvalCommandLine& line) {
  return line.paper && line.model.empty() && line.import_file.empty() && line.configs.empty() && line.sets.empty();
}

void add_eval_options(CLI::App& app, EvalCommandLine& line) {
  add_model_and_data(app, line);
  app.add_option("--max-new-tokens", line.max_new_tokens, "longest answer (default: 256)")->group("Answers");
  app.add_option("--temperature", line.temperature, "0 takes the likeliest token, above 0 samples (default: 0)")
      ->group("Answers");
  app.add_option("--batch-size", line.batch_size, "images at once, or auto (default: auto)")->group("Answers");
  app.add_option("--import", line.import_file,
                 "score these predictions (CSV or JSONL) instead of asking a model (default: none)")
      ->group("Answers");
  app.add_option("--threshold", line.threshold,
                 "a valid answer is a defect if its score is at least this (default: none, "
                 "the answers' own verdicts; for imported scores without a verdict 0.5)")
      ->group("Threshold");
  app.add_option("--threshold-from", line.threshold_from,
                 "choose the threshold on this split of the data, such as train, and report on data.split")
      ->group("Threshold");
  app.add_option("--max-false-alarms", line.max_false_alarms,
                 "with --threshold-from: the lowest threshold with at most this share of false alarms, 0 to 1")
      ->group("Threshold");
  app.add_option("--min-recall", line.min_recall,
                 "with --threshold-from: the highest threshold with at least this recall, 0 to 1")
      ->group("Threshold");
  app.add_flag("--save-threshold", line.save_threshold,
               "with --threshold-from: keep the threshold in the lriad_settings.json of the adapter or model")
      ->group("Threshold");
  app.add_flag("--paper", line.paper,
               "print the run beside the tables of LR-IAD's paper (alone: the tables; default: off)")
      ->group("Results");
  app.add_option("--compare", line.compare,
                 "two folders of earlier runs over the same images: changed verdicts, recall at equal false alarms")
      ->group("Results")
      ->expected(2);
  app.add_flag("--partial", line.partial,
               "with --import: images without a line are left out of the metrics (default: off)")
      ->group("Answers");
  app.add_flag("--fail-on-defect", line.fail_on_defect, "exit code 10 if any verdict is defect (default: off)")
      ->group("Results");
  app.add_option("--output", line.output, "folder for predictions.jsonl and .csv, metrics.json and report/")
      ->capture_default_str()
      ->group("Results");
  app.add_option("--invalid", line.invalid, "an invalid answer counts as wrong, or as an extra_class (default: wrong)")
      ->group("Results");
  app.add_flag("--maps", line.maps,
               "show where the model looked: a heat map beside each answer, checked against hiding random cells; where "
               "the data have masks, how well it shows the defect; takes several times as long (default: off)")
      ->group("Results");
  app.add_flag("--logprobs", line.logprobs, "keep the log-probabilities of the tokens (default: off)")
      ->group("Results");
  app.add_flag("--token-ids", line.token_ids, "keep the ids of prompt and answer (default: off)")->group("Results");
  app.add_flag("--resume", line.resume, "keep the answers that are in predictions.jsonl already (default: off)")
      ->group("Results");
  app.add_flag("--overwrite", line.overwrite,
               "replace the answers that are in predictions.jsonl already (default: off)")
      ->group("Results");
  app.add_option("--config", line.configs, "YAML file with prompt, image, data and eval; later files win")
      ->group("Config")
      ->allow_extra_args(false);
  app.add_option("--set", line.sets, "key.sub=value, over the files")->group("Config")->allow_extra_args(false);
}

void check_eval_options(const EvalCommandLine& line) {
  if (line.max_new_tokens && (*line.max_new_tokens < 1 || *line.max_new_tokens > kLongestAnswer)) {
    fail("app", "--max-new-tokens is ", *line.max_new_tokens, ", expected 1 to ", kLongestAnswer);
  }
  if (line.temperature && !(*line.temperature >= 0 && *line.temperature <= 100)) {
    fail("app", "--temperature is ", *line.temperature, ", expected 0 (greedy) to 100");
  }
  if (line.limit && *line.limit < 1) fail("app", "--limit is ", *line.limit, ", expected 1 or more");
  if (!line.invalid.empty() && line.invalid != "wrong" && line.invalid != "extra_class") {
    fail("app", "--invalid is ", line.invalid, ", expected wrong or extra_class");
  }
  if (line.overwrite && line.resume) fail("app", "--overwrite and --resume are both given, expected one of them");
  if (line.output.empty()) fail("app", "--output is empty, expected a folder");
  check_sources(line);
  check_threshold(line);
}

std::vector<ConfigInput::Option> settings_of_options(const EvalCommandLine& line) {
  std::vector<ConfigInput::Option> options;
  const auto set = [&](const char* name, const char* key, const nlohmann::json& value) {
    // JSON values are also valid YAML.
    const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    options.push_back({name, concat(key, "=", text)});
  };
  if (!line.model.empty()) set("--model", "model.path", line.model);
  if (!line.adapter.empty()) set("--adapter", "model.adapter", line.adapter);
  if (!line.dtype.empty()) set("--dtype", "model.dtype", line.dtype);
  if (!line.data.empty()) set("--data", "data.root", line.data);
  if (!line.format.empty()) set("--format", "data.format", line.format);
  if (line.max_new_tokens) set("--max-new-tokens", "eval.max_new_tokens", *line.max_new_tokens);
  if (line.temperature) set("--temperature", "eval.temperature", *line.temperature);
  if (!line.batch_size.empty()) set("--batch-size", "eval.batch_size", parse_batch_size(line.batch_size));
  if (!line.invalid.empty()) set("--invalid", "eval.invalid_extra_class", line.invalid == "extra_class");
  return options;
}

EvalConfig eval_config(const EvalCommandLine& line) {
  check_eval_options(line);
  ConfigInput input;
  input.files.assign(line.configs.begin(), line.configs.end());
  input.sets = line.sets;
  input.options = settings_of_options(line);
  input.use = ConfigUse::kEval;
  LoadedConfig loaded = load_config(input);
  check_present(line, loaded.config);
  if (loaded.config.model.path.empty() || !line.import_file.empty() || !line.compare.empty())
    return {loaded.config, std::nullopt};
  find_model_folders(loaded.config.model);
  const std::optional<ModelSettings> trained = trained_settings(loaded.config);
  if (trained) {
    for (const std::string& difference : apply_model_settings(loaded, *trained)) log_warning(difference);
  }
  const std::string problem = template_problem(loaded.config);
  if (!problem.empty()) fail("app", problem);
  return {loaded.config, trained};
}

}  // namespace lriad

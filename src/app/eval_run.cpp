#include "eval_run.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "eval_data.h"
#include "eval_model.h"
#include "eval_output.h"
#include "eval_settings.h"
#include "eval_watch.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/eval/compare.h"
#include "lriad/eval/import.h"
#include "lriad/eval/map_metrics.h"
#include "lriad/eval/mmad_answers.h"
#include "lriad/eval/operating_point.h"
#include "lriad/eval/paper_tables.h"
#include "lriad/eval/predictions.h"
#include "lriad/run/stop_signal.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

Existing existing_answers(const EvalCommandLine& line) {
  if (line.resume) return Existing::kKeep;
  return line.overwrite ? Existing::kReplace : Existing::kRefuse;
}

/// Prints verdict, score and file of each image, for images without labels, which have no metrics.
void print_verdicts(const std::vector<Prediction>& predictions) {
  for (const Prediction& prediction : predictions) {
    std::cout << verdict_text(prediction) << "\t";
    if (prediction.score) std::cout << *prediction.score;
    std::cout << "\t" << prediction.image << "\n";
  }
}

/// Labelled images that nothing was said about.
int64_t labelled_without(const std::vector<Prediction>& predictions, const Dataset& dataset) {
  std::set<std::string> known;
  for (const Prediction& prediction : predictions) known.insert(prediction.sample_id);
  return std::ranges::count_if(dataset.samples,
                               [&](const Sample& sample) { return sample.label && !known.contains(sample.id); });
}

/// A threshold on the score and where it was chosen.
struct Threshold {
  double value = 0;
  std::string chosen_on;
};

InvalidPolicy invalid_policy(const Config& config) {
  return config.eval.invalid_extra_class ? InvalidPolicy::kExtraClass : InvalidPolicy::kWrong;
}

/// metrics.jsonl of the run that trained the adapter or model: in its folder, or above that of a checkpoint.
fs::path training_log(const Config& config) {
  const fs::path folder = fs::absolute(config.model.adapter.value_or(config.model.path)).lexically_normal();
  for (const fs::path& place : {folder, (folder / "").parent_path().parent_path()}) {
    std::error_code error;
    if (fs::is_regular_file(place / "metrics.jsonl", error)) return place / "metrics.jsonl";
  }
  return {};
}

/// The head of the report about the images that the command line names.
ReportInput report_on(const EvalCommandLine& line, const Config& config, const std::string& title) {
  ReportInput report;
  report.title = title;
  if (line.images.empty()) {
    report.about = about_data(config.data);
  } else {
    report.about.emplace_back("Object", line.object);
  }
  return report;
}

/// For a data set of MMAD the answers as its own programs write and count them.
void write_answers_of_mmad(const EvalOutput& output, const std::vector<Prediction>& predictions, const Config& config,
                           std::string title) {
  std::ranges::replace_if(
      title, [](char c) { return c == ' ' || c == '/'; }, '_');
  const fs::path path = output.folder() / concat("answers_", config.data.reference.normal, "_shot_", title, ".json");
  write_mmad_answers(path, predictions, mmad_questions(config.data));
  std::cout << "\nMMAD     " << path.string() << ", _accuracy.csv beside it\n";
}

/// Fills in metrics, writes them and the report, and prints the table of all answers.
void finish(const EvalOutput& output, ReportInput report, const Dataset& dataset, const Config& config,
            const std::optional<Threshold>& threshold) {
  const std::vector<Prediction>& predictions = report.predictions;
  MetricsReport metrics = compute_metrics(predictions, invalid_policy(config), labelled_without(predictions, dataset));
  metrics.chosen_on = report.metrics.chosen_on;
  if (threshold && metrics.overall.n > 0) {
    const ClassMetrics& m = metrics.overall;
    const auto false_alarms = m.specificity ? std::optional(1 - *m.specificity) : std::nullopt;
    metrics.operating_point = {threshold->value, threshold->chosen_on, config.data.split, m.recall, false_alarms};
  }
  if (std::ranges::any_of(predictions, [](const Prediction& p) { return p.map.has_value(); }))
    metrics.maps = map_metrics(predictions, dataset);
  report.metrics = metrics;
  report.settings = with_scoring(report.settings, config);
  output.write_results(report, dataset);
  if (metrics.overall.n > 0) {
    std::cout << metrics_table(metrics);
  } else {
    print_verdicts(predictions);
    if (metrics.maps) std::cout << "\n" << map_text(*metrics.maps);
  }
  std::cout << "\nanswers  " << output.predictions_path().string() << "\nmetrics  "
            << (output.folder() / "metrics.json").string() << "\nreport   "
            << (output.folder() / "report" / "index.html").string() << "\n";
  if (config.data.format == "mmad" && metrics.overall.n > 0)
    write_answers_of_mmad(output, predictions, config, report.title);
}

/// The paper counts an invalid answer as wrong, whatever --invalid says.
void print_paper(const EvalCommandLine& line, const std::vector<Prediction>& predictions) {
  if (line.paper) std::cout << "\n" << paper_comparison(compute_metrics(predictions, InvalidPolicy::kWrong));
}

/// The images of --threshold-from. Throws Error if one of them is reported on too.
Dataset read_choosing_data(const EvalCommandLine& line, const Config& config, const Dataset& reported) {
  DataSection section = config.data;
  section.split = line.threshold_from;
  Dataset dataset = read_dataset(section);
  std::set<fs::path> paths;
  for (const Sample& sample : dataset.samples) paths.insert(sample.path);
  for (const Sample& sample : reported.samples) {
    if (!paths.contains(sample.path)) continue;
    fail("app", "--threshold-from ", line.threshold_from, " holds ", sample.image, ", which data.split ",
         config.data.split,
         " reports on: a threshold has to be chosen on other images; set data.split to another split");
  }
  return dataset;
}

Threshold choose(const EvalCommandLine& line, const std::vector<Prediction>& predictions) {
  return {choose_threshold(predictions, {line.max_false_alarms, line.min_recall}, line.threshold_from),
          line.threshold_from};
}

/// --threshold, else what the model's settings say.
std::optional<Threshold> given_threshold(const EvalCommandLine& line, const std::optional<ModelSettings>& trained) {
  const bool kept = trained && trained->threshold;
  const bool chosen_now = line.threshold || !line.threshold_from.empty();
  if (kept && chosen_now && line.threshold != trained->threshold)
    log_warning(concat("threshold: the command line's replaces ", *trained->threshold, " of ", kModelSettingsFile));
  if (line.threshold) return Threshold{*line.threshold, "--threshold"};
  if (kept && !chosen_now) return Threshold{*trained->threshold, trained->threshold_chosen_on};
  return std::nullopt;
}

std::optional<CheckpointChoice> choice_of(const EvalConfig& given) {
  if (!given.trained || !given.trained->chosen_on) return std::nullopt;
  const ChosenOn& chosen = *given.trained->chosen_on;
  const DataSection& data = given.config.data;
  std::error_code error;
  const bool same_root = fs::weakly_canonical(chosen.root, error) == fs::weakly_canonical(data.root, error);
  const bool same_split = chosen.split == data.split || chosen.split == "all" || data.split == "all";
  return CheckpointChoice{concat(chosen.metric, " on ", chosen.root, ", split ", chosen.split),
                          same_root && same_split};
}

/// Writes the threshold into the settings that the model is asked with.
void save_threshold(const EvalConfig& given, const Threshold& threshold) {
  const ModelSection& model = given.config.model;
  const bool in_adapter = model.adapter && fs::exists(fs::path(*model.adapter) / kModelSettingsFile);
  const fs::path folder = in_adapter ? *model.adapter : model.path;
  if (!given.trained) fail("app", "--save-threshold: ", folder.string(), " has no ", kModelSettingsFile);
  ModelSettings settings = *given.trained;
  settings.threshold = threshold.value;
  settings.threshold_chosen_on = threshold.chosen_on;
  write_model_settings(folder, settings);
  log_info(concat("threshold ", threshold.value, " kept in ", (folder / kModelSettingsFile).string()));
}

std::optional<double> value_of(const std::optional<Threshold>& threshold) {
  return threshold ? std::optional(threshold->value) : std::nullopt;
}

int exit_code(const EvalCommandLine& line, const std::vector<Prediction>& predictions) {
  return line.fail_on_defect && std::ranges::any_of(predictions, called_defect) ? kDefectExit : 0;
}

int ask_model(const EvalCommandLine& line, const EvalConfig& given) {
  const Config& config = given.config;
  if (line.watch) return watch_images(line, given, value_of(given_threshold(line, given.trained)));
  const Existing existing = existing_answers(line);
  EvalOutput output(line.output, existing);
  EvalModel model(line, given);
  Dataset dataset = read_eval_data(line, config);
  dataset.references = read_eval_references(config);
  std::optional<Threshold> threshold = given_threshold(line, given.trained);
  std::vector<Prediction> predictions;
  const StopSignal stop;
  try {
    if (!line.threshold_from.empty()) {
      Dataset choosing = read_choosing_data(line, config, dataset);
      choosing.references = dataset.references;
      EvalOutput beside((output.folder() / "threshold").string(), existing);
      threshold = choose(line, model.ask(choosing, beside, std::nullopt, /*maps=*/false));
      if (line.save_threshold) save_threshold(given, *threshold);
    }
    predictions = model.ask(dataset, output, value_of(threshold), line.maps);
  } catch (const Stopped& stopped) {
    log_warning(concat("stopped by signal ", stopped.signal, "; ", output.predictions_path().string(),
                       " keeps the answers so far, --resume goes on from there"));
    return 128 + stopped.signal;
  }
  ReportInput report = report_on(line, config, model.title());
  std::ranges::copy(about_prompt(config.prompt), std::back_inserter(report.about));
  report.predictions = predictions;
  report.settings = model.settings(value_of(threshold));
  report.metrics.chosen_on = choice_of(given);
  report.run_log = training_log(config);
  finish(output, report, dataset, config, threshold);
  print_paper(line, predictions);
  return exit_code(line, predictions);
}

/// The imported predictions of `dataset`; where a threshold is to be chosen, of both splits, judged by it.
std::vector<Prediction> imported(const EvalCommandLine& line, const Config& config, const Dataset& dataset,
                                 std::optional<Threshold>& threshold) {
  if (line.threshold_from.empty()) return import_predictions(line.import_file, dataset, {line.threshold, line.partial});
  Dataset both = dataset;
  std::ranges::copy(read_choosing_data(line, config, dataset).samples, std::back_inserter(both.samples));
  // Any threshold will do for reading: the chosen one judges all scores anew.
  std::vector<Prediction> choosing = import_predictions(line.import_file, both, {0.0, line.partial});
  std::set<std::string> reported;
  for (const Sample& sample : dataset.samples) reported.insert(sample.id);
  const auto rest =
      std::ranges::stable_partition(choosing, [&](const auto& p) { return reported.contains(p.sample_id); });
  std::vector<Prediction> predictions(choosing.begin(), rest.begin());
  choosing.erase(choosing.begin(), rest.begin());
  threshold = choose(line, choosing);
  for (Prediction& p : predictions) p.verdict = verdict_at(p.verdict, p.score, threshold->value);
  return predictions;
}

int import(const EvalCommandLine& line, const Config& config) {
  std::error_code ignored;
  const bool own = fs::equivalent(line.import_file, fs::path(line.output) / "predictions.jsonl", ignored);
  EvalOutput output(line.output, own ? Existing::kKeep : existing_answers(line));
  const Dataset dataset = read_eval_data(line, config);
  std::optional<Threshold> threshold = given_threshold(line, std::nullopt);
  const std::vector<Prediction> predictions = imported(line, config, dataset, threshold);
  Settings settings = import_settings(line, config);
  settings.set("threshold", value_of(threshold));
  output.set_threshold(value_of(threshold));
  if (!own) output.write_predictions(predictions, settings);
  ReportInput report = report_on(line, config, fs::path(line.import_file).filename().string());
  report.predictions = predictions;
  report.settings = settings;
  finish(output, report, dataset, config, threshold);
  print_paper(line, predictions);
  return exit_code(line, predictions);
}

std::vector<Prediction> predictions_of(const std::string& run) {
  const fs::path path = fs::is_directory(run) ? fs::path(run) / "predictions.jsonl" : fs::path(run);
  return read_predictions(path).predictions;
}

int compare(const EvalCommandLine& line, const Config& config) {
  const std::vector<Prediction> a = predictions_of(line.compare[0]), b = predictions_of(line.compare[1]);
  const Comparison comparison = compare_runs(a, b, invalid_policy(config));
  const fs::path path = fs::absolute(line.output).lexically_normal() / "compare.json";
  make_folder("app", path.parent_path());
  write_comparison(path, comparison, line.compare[0], line.compare[1]);
  std::cout << "A  " << line.compare[0] << "\nB  " << line.compare[1] << "\n\n"
            << comparison_text(comparison) << "\nmetrics  " << path.string() << "\n";
  return 0;
}

}  // namespace

int run_eval(const EvalCommandLine& line) {
  const EvalConfig given = eval_config(line);
  if (!line.compare.empty()) return compare(line, given.config);
  if (only_paper(line)) {
    std::cout << paper_comparison(std::nullopt);
    return 0;
  }
  return line.import_file.empty() ? ask_model(line, given) : import(line, given.config);
}

}  // namespace lriad

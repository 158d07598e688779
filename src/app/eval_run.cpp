#include "eval_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <thread>

#include "eval_output.h"
#include "eval_settings.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/data/prepare.h"
#include "lriad/dist/gpus.h"
#include "lriad/dist/launcher.h"
#include "lriad/eval/evaluator.h"
#include "lriad/eval/import.h"
#include "lriad/eval/model_answers.h"
#include "lriad/eval/predictions.h"
#include "lriad/model/image_features.h"
#include "lriad/model/load_model.h"
#include "lriad/run/stop_signal.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

/// Thrown between two batches if a signal was received.
struct Stopped {
  int signal;
};

Dataset read_eval_data(const EvalCommandLine& line, const Config& config) {
  Dataset dataset = line.images.empty() ? read_dataset(config.data) : read_images(line.images, line.object);
  if (line.limit && *line.limit < static_cast<int64_t>(dataset.samples.size())) {
    dataset.samples.resize(static_cast<size_t>(*line.limit));
  }
  log_info(concat("data\n", describe(dataset)));
  return dataset;
}

/// Prints verdict, score and file of each image, for images without labels, which have no metrics.
void print_verdicts(const std::vector<Prediction>& predictions) {
  for (const Prediction& prediction : predictions) {
    std::cout << verdict_name(prediction.verdict) << "\t";
    if (prediction.score) std::cout << *prediction.score;
    std::cout << "\t" << prediction.image << "\n";
  }
}

/// Writes metrics and report of all answers and prints the table.
void finish(const EvalOutput& output, const std::vector<Prediction>& predictions, const Dataset& dataset,
            const Config& config, const Settings& settings, const std::string& title) {
  const InvalidPolicy policy = config.eval.invalid_extra_class ? InvalidPolicy::kExtraClass : InvalidPolicy::kWrong;
  const MetricsReport metrics = compute_metrics(predictions, policy);
  output.write_results(metrics, predictions, dataset, with_scoring(settings, config), title);
  if (metrics.overall.n > 0) {
    std::cout << metrics_table(metrics);
  } else {
    print_verdicts(predictions);
  }
  std::cout << "\nanswers  " << output.predictions_path().string() << "\nmetrics  "
            << (output.folder() / "metrics.json").string() << "\nreport   "
            << (output.folder() / "report" / "index.html").string() << "\n";
}

class ModelEvaluation {
 public:
  ModelEvaluation(const EvalCommandLine& line, const Config& config)
      : line_(line),
        config_(config),
        output_(line.output),
        device_(choose_devices(config.distributed.devices).front()),
        settings_(answer_settings(line, config, device_)) {
    check_folder("--model", config.model.path);
    if (config.model.adapter) check_folder("--adapter", *config.model.adapter);
    use_device(device_);
    dataset_ = read_eval_data(line, config);
  }

  int run() {
    if (line_.resume) predictions_ = output_.answers_so_far(settings_, dataset_);
    const StopSignal stop;
    try {
      const std::vector<int64_t> open = open_samples();
      if (!open.empty()) answer(open);
    } catch (const Stopped& stopped) {
      log_warning(concat("stopped by signal ", stopped.signal, "; ", output_.predictions_path().string(),
                         " keeps the answers so far, --resume goes on from there"));
      return 128 + stopped.signal;
    }
    sort_predictions();
    finish(output_, predictions_, dataset_, config_, settings_, title());
    return 0;
  }

 private:
  static void check_folder(const char* option, const std::string& path) {
    if (!fs::is_directory(path)) fail("app", option, " ", path, " is not a folder");
  }

  std::string title() const {
    const auto name = [](const std::string& path) {
      return (fs::absolute(path).lexically_normal() / "").parent_path().filename().string();
    };
    const std::string model = name(config_.model.path);
    return config_.model.adapter ? concat(model, " with ", name(*config_.model.adapter)) : model;
  }

  std::vector<int64_t> open_samples() const {
    std::set<std::string> answered;
    for (const Prediction& prediction : predictions_) answered.insert(prediction.sample_id);
    if (!answered.empty()) log_info(concat(answered.size(), " of ", dataset_.samples.size(), " answers are there"));
    std::vector<int64_t> open;
    for (size_t i = 0; i < dataset_.samples.size(); ++i) {
      if (!answered.contains(dataset_.samples[i].id)) open.push_back(static_cast<int64_t>(i));
    }
    return open;
  }

  void answer(const std::vector<int64_t>& open) {
    const Tokenizer tokenizer = Tokenizer::load(config_.model.path);
    check_chat_template(config_.model.path);
    const SamplePreparer preparer(tokenizer, config_.prompt,
                                  read_model_image_settings(config_.model.path, config_.image));
    for (const int64_t index : open) preparer.check_prompt(dataset_.samples[static_cast<size_t>(index)]);
    Qwen2Vl model = ready_model();
    const AnswerFunction ask = model_answers(model, tokenizer, answer_options());
    output_.start(settings_);
    const auto start = std::chrono::steady_clock::now();
    Evaluation result = evaluate(dataset_, open, preparer, tokenizer, until_signal(ask), evaluate_options(),
                                 [this](const Prediction& prediction) { output_.add(prediction); });
    take(std::move(result), std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }

  Qwen2Vl ready_model() const {
    std::optional<Adapter> adapter;
    if (config_.model.adapter) adapter = read_adapter(*config_.model.adapter);
    log_info(concat("model ", title(), " on ", device_.str()));
    Qwen2Vl model = load_model(config_.model.path, scalar_type(config_.model.dtype), device_);
    limit_threads(model->config().text);
    if (adapter) add_adapter(model, *adapter, /*dropout=*/0);
    return model;
  }

  static AnswerFunction until_signal(const AnswerFunction& ask) {
    return [&ask](std::span<const PreparedSample> samples) {
      if (StopSignal::number() != 0) throw Stopped{StopSignal::number()};
      return ask(samples);
    };
  }

  AnswerOptions answer_options() const {
    AnswerOptions options;
    options.max_new_tokens = config_.eval.max_new_tokens;
    options.temperature = config_.eval.temperature;
    options.ban_vision_tokens = config_.rollout.ban_vision_tokens;
    options.seed = config_.seed;
    return options;
  }

  EvaluateOptions evaluate_options() const {
    EvaluateOptions options;
    options.batch_size = config_.eval.batch_size;
    options.max_new_tokens = config_.eval.max_new_tokens;
    options.bad_image = config_.data.bad_image;
    options.keep_token_ids = line_.token_ids;
    options.keep_logprobs = line_.logprobs;
    options.num_threads = std::clamp<int64_t>(std::thread::hardware_concurrency() / 2, 1, 8);
    return options;
  }

  void take(Evaluation&& result, double seconds) {
    const size_t answered = result.predictions.size();
    std::move(result.predictions.begin(), result.predictions.end(), std::back_inserter(predictions_));
    if (predictions_.empty()) {
      fail("app", "no image could be read, ", result.skipped.size(), " are bad, the first of them ",
           result.skipped.front());
    }
    log_info(concat(answered, " answers in ", seconds, " s"));
    if (!result.skipped.empty()) {
      log_warning(concat(result.skipped.size(), " bad images were skipped and are not in the metrics"));
    }
  }

  /// Sorts answers of this run and of earlier ones into the order of the data set.
  void sort_predictions() {
    std::map<std::string, size_t> order;
    for (size_t i = 0; i < dataset_.samples.size(); ++i) order.emplace(dataset_.samples[i].id, i);
    std::sort(predictions_.begin(), predictions_.end(),
              [&](const Prediction& a, const Prediction& b) { return order.at(a.sample_id) < order.at(b.sample_id); });
  }

  const EvalCommandLine& line_;
  const Config& config_;
  EvalOutput output_;
  at::Device device_;
  Settings settings_;
  Dataset dataset_;
  std::vector<Prediction> predictions_;
};

int import(const EvalCommandLine& line, const Config& config) {
  EvalOutput output(line.output);
  const Dataset dataset = read_eval_data(line, config);
  const std::vector<Prediction> predictions = import_predictions(line.import_file, dataset, line.threshold);
  const Settings settings = import_settings(line, config);
  std::error_code ignored;
  if (!fs::equivalent(line.import_file, output.predictions_path(), ignored)) {
    output.write_predictions(predictions, settings);
  }
  finish(output, predictions, dataset, config, settings, fs::path(line.import_file).filename().string());
  return 0;
}

}  // namespace

int run_eval(const EvalCommandLine& line) {
  const Config config = eval_config(line);
  return line.import_file.empty() ? ModelEvaluation(line, config).run() : import(line, config);
}

}  // namespace lriad

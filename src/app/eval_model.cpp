#include "eval_model.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "eval_settings.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/dist/gpus.h"
#include "lriad/dist/launcher.h"
#include "lriad/eval/model_answers.h"
#include "lriad/eval/model_maps.h"
#include "lriad/model/adapter_origin.h"
#include "lriad/model/chat_tokens.h"
#include "lriad/model/image_features.h"
#include "lriad/model/load_model.h"
#include "lriad/model/model_folder.h"
#include "lriad/run/stop_signal.h"
#include "lriad/text/chat_prompt.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::vector<int64_t> open_samples(const Dataset& dataset, const std::vector<Prediction>& predictions) {
  std::set<std::string> answered;
  for (const Prediction& prediction : predictions) answered.insert(prediction.sample_id);
  if (!answered.empty()) log_info(concat(answered.size(), " of ", dataset.samples.size(), " answers are there"));
  std::vector<int64_t> open;
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    if (!answered.contains(dataset.samples[i].id)) open.push_back(static_cast<int64_t>(i));
  }
  return open;
}

void stop_at_signal() {
  if (StopSignal::number() != 0) throw Stopped{StopSignal::number()};
}

AnswerOptions answer_options(const Config& config, FeatureCache& reference_features) {
  return {.max_new_tokens = config.eval.max_new_tokens,
          .temperature = config.eval.temperature,
          .ban_vision_tokens = config.rollout.ban_vision_tokens,
          .seed = config.seed,
          .batch_size = config.eval.batch_size,
          .each_token = stop_at_signal,
          .reference_features = &reference_features};
}

/// In the order of the data set, whichever run answered.
void sort_predictions(std::vector<Prediction>& predictions, const Dataset& dataset) {
  std::map<std::string, size_t> order;
  for (size_t i = 0; i < dataset.samples.size(); ++i) order.emplace(dataset.samples[i].id, i);
  std::ranges::sort(predictions, {}, [&](const Prediction& p) { return order.at(p.sample_id); });
}

void say_what_came(const std::vector<Prediction>& answered, double seconds, double map_seconds) {
  const auto bad = std::ranges::count_if(answered, &Prediction::unreadable);
  const auto good = std::ssize(answered) - bad;
  const double answering = std::max(seconds - map_seconds, 1e-6);
  int64_t tokens = 0;
  for (const Prediction& prediction : answered) tokens += prediction.length;
  const auto rounded = [](double value) { return std::round(100 * value) / 100; };
  const auto rate = [&](int64_t count) { return rounded(static_cast<double>(count) / answering); };
  log_info(
      concat(good, " answers in ", rounded(answering), " s: ", rate(good), " images/s, ", rate(tokens), " tokens/s"));
  if (map_seconds > 0) {
    log_info(concat("their maps in ", rounded(map_seconds), " s: ", rounded(map_seconds / static_cast<double>(good)),
                    " s an image, ", rounded(map_seconds / answering), " times the answers' time"));
  }
  if (bad > 0) log_warning(concat(bad, " images are unreadable and not in the metrics"));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Qwen2Vl ready_model(const Config& config, const at::Device& device) {
  std::optional<Adapter> adapter;
  if (config.model.adapter) adapter = read_adapter(*config.model.adapter);
  Qwen2Vl model = load_model(config.model.path, scalar_type(config.model.dtype), device);
  limit_threads(model->config().text);
  if (!adapter) return model;
  check_origin(*adapter, *config.model.adapter, config.model.path);
  add_adapter(model, *adapter, /*dropout=*/0);
  return model;
}

/// The adapter or model must have been trained with this tokenizer.
void check_letters(const AnswerTokens& tokens, const ModelSettings& trained) {
  if (tokens.a == trained.letter_a && tokens.b == trained.letter_b) return;
  fail("app", kModelSettingsFile, ": the answer tokens are ", trained.letter_a, " and ", trained.letter_b,
       ", but the tokenizer of --model has ", tokens.a, " and ", tokens.b, "; give the model that was trained");
}

}  // namespace

EvalModel::EvalModel(const EvalCommandLine& line, const EvalConfig& given)
    : line_(line),
      config_(given.config),
      trained_(given.trained),
      device_(choose_devices(config_.distributed.devices).front()) {
  use_device(device_, config_.distributed.memory_fraction);
}

std::vector<Prediction> EvalModel::ask(const Dataset& dataset, EvalOutput& output,
                                       const std::optional<double>& threshold, bool maps) {
  std::vector<Prediction> predictions;
  output.set_threshold(threshold);
  if (line_.resume) predictions = output.answers_so_far(settings(threshold), &dataset);
  const std::vector<int64_t> open = open_samples(dataset, predictions);
  if (!open.empty()) {
    load_preparer();
    ReferenceTokens references(dataset, *preparer_);
    for (const int64_t index : open) {
      const Sample& sample = dataset.samples[static_cast<size_t>(index)];
      preparer_->check_prompt(sample, references.most(sample));
    }
    load();  // reads the weights, which takes longer than all checks
    output.start(settings(threshold));
    const auto start = std::chrono::steady_clock::now();
    EvaluateOptions options = evaluate_options(threshold);
    if (maps) add_maps(options, dataset, output);
    const std::vector<Prediction> answered = evaluate(dataset, open, *preparer_, *tokenizer_, ask_, options,
                                                      [&](const Prediction& prediction) { output.add(prediction); });
    say_what_came(answered, seconds_since(start), map_seconds_);
    std::ranges::copy(answered, std::back_inserter(predictions));
  }
  sort_predictions(predictions, dataset);
  if (std::ranges::all_of(predictions, &Prediction::unreadable)) {
    fail("app", "no image could be read, ", predictions.size(), " are bad, the first of them ",
         predictions.front().image);
  }
  return predictions;
}

void EvalModel::answer(const Dataset& dataset, const EvalOutput& output, const std::optional<double>& threshold,
                       const PredictionSink& sink) {
  std::vector<int64_t> all(dataset.samples.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  EvaluateOptions options = evaluate_options(threshold);
  options.bad_image = BadImage::kSkip;
  options.show_progress = false;
  if (line_.maps) add_maps(options, dataset, output);
  const auto keep_map = options.keep_map;
  if (keep_map) {
    options.keep_map = [&](int64_t index, HeatMap& map) {
      try {
        keep_map(index, map);
      } catch (const Error& error) {
        map.file.clear();
        log_warning(concat(error.what(), "; the overlay of the map is left out"));
      }
    };
  }
  evaluate(dataset, all, *preparer_, *tokenizer_, ask_, options, sink);
}

void EvalModel::load_preparer() {
  if (preparer_) return;
  tokenizer_ = Tokenizer::load(config_.model.path);
  check_chat_template(config_.model.path);
  check_chat_tokens(*tokenizer_, read_model_config(config_.model.path));
  if (trained_) check_letters(find_answer_tokens(*tokenizer_), *trained_);
  preparer_.emplace(*tokenizer_, config_.prompt, read_model_image_settings(config_.model.path, config_.image));
}

void EvalModel::load() {
  load_preparer();
  if (model_) return;
  log_info(concat("model ", title(), " on ", device_.str()));
  model_ = ready_model(config_, device_);
  const int64_t memory_mb = config_.data.reference.normal > 0 ? config_.model.vision_cache.memory_mb : 0;
  reference_features_.emplace(VisionCacheSection{memory_mb, 0, {}}, *model_);
  ask_ = model_answers(*model_, *tokenizer_, answer_options(config_, *reference_features_));
}

Settings EvalModel::settings(const std::optional<double>& threshold) const {
  Settings settings = answer_settings(line_, config_, device_);
  settings.set("threshold", threshold);
  return settings;
}

std::string EvalModel::title() const {
  const auto name = [](const std::string& path) {
    return (fs::absolute(path).lexically_normal() / "").parent_path().filename().string();
  };
  const std::string model = model_name(config_.model.path);
  return config_.model.adapter ? concat(model, " with ", name(*config_.model.adapter)) : model;
}

EvaluateOptions EvalModel::evaluate_options(const std::optional<double>& threshold) const {
  EvaluateOptions options;
  options.bad_image = config_.data.bad_image;
  options.threshold = threshold;
  options.keep_token_ids = line_.token_ids;
  options.keep_logprobs = line_.logprobs;
  options.num_threads = std::clamp<int64_t>(std::thread::hardware_concurrency() / 2, 1, 8);
  return options;
}

void EvalModel::add_maps(EvaluateOptions& options, const Dataset& dataset, const EvalOutput& output) {
  map_seconds_ = 0;
  options.maps = [this, maps = model_maps(*model_, *tokenizer_, config_.seed)](auto samples, auto answers) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<HeatMap> made = maps(samples, answers);
    map_seconds_ += seconds_since(start);
    return made;
  };
  options.keep_map = [&](int64_t index, HeatMap& map) {
    output.write_map(dataset.samples[static_cast<size_t>(index)], map);
  };
}

}  // namespace lriad

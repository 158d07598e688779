// Targets: readers of models, runs and imported predictions, the answer parser and the HTML report.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "eval/report_page.h"
#include "fuzz.h"
#include "lriad/core/files.h"
#include "lriad/eval/import.h"
#include "lriad/eval/predictions.h"
#include "lriad/grpo/reward.h"
#include "lriad/health/alarms.h"
#include "lriad/health/guard.h"
#include "lriad/health/refused_batch.h"
#include "lriad/model/adapter_origin.h"
#include "lriad/model/model_files.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/run_folder.h"
#include "lriad/run/tensorboard.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGoodAdapter = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]})";

/// Reads all bytes of all tensors, then uses the file as the weights of an adapter.
void safetensors(const std::string& input) {
  static const FuzzFile file("adapter_model.safetensors"), config("adapter_config.json", kGoodAdapter);
  file.set(input);
  fuzz_refusable([&] {
    const SafetensorsFile read(file.path());
    for (const TensorEntry& entry : read.entries()) {
      const std::string copy(read.bytes(entry));
      fuzz_refusable([&] { fuzz_check(read.tensor(entry.name).nbytes() == copy.size()); });
    }
  });
  fuzz_refusable([&] { read_adapter(fuzz_folder()); });
}

void weight_index(const std::string& input) {
  static const FuzzFile file("model.safetensors.index.json");
  file.set(input);
  fuzz_refusable([&] {
    for (const std::string& name : weight_files(fuzz_folder())) fuzz_check(fs::path(name).filename() == name);
  });
}

/// Uses the input as config.json and generation_config.json. Sizes that are accepted must not overflow when multiplied.
void model_config(const std::string& input) {
  static const FuzzFile file("config.json"), generation("generation_config.json");
  file.set(input);
  generation.set(input);
  fuzz_refusable([&] {
    const ModelConfig config = read_model_config(fuzz_folder());
    for (const int64_t id : config.eos_token_ids) fuzz_check(id >= 0 && id < config.text.vocab_size);
    if (config.text.num_hidden_layers + config.vision.depth > 100) return;
    for (const auto& [name, shape] : expected_tensors(config)) {
      int64_t bytes = 8;
      for (const int64_t length : shape) fuzz_check(length > 0 && !__builtin_mul_overflow(bytes, length, &bytes));
    }
    fuzz_check(config.vision.patch_dim() > 0);
  });
}

void adapter_config(const std::string& input) {
  static const FuzzFile file("adapter_config.json");
  static const FuzzFile weights("adapter_model.safetensors",
                                read_file("fuzz", LRIAD_GOLDEN_DIR "/cold_start/adapter_model.safetensors"));
  file.set(input);
  fuzz_refusable([&] {
    const Adapter adapter = read_adapter(fuzz_folder());
    for (const auto& [name, tensor] : adapter.tensors) {
      const auto shape = adapter.config.shape_of(name.substr(0, name.find(".lora_")));
      fuzz_check(shape && shape->r == tensor.size(name.ends_with(".lora_A.weight") ? 0 : 1));
    }
  });
}

/// Uses the input as the note of a merged model, beside sound files.
void merged_adapters(const std::string& input) {
  static const FuzzFile config("config.json",
                               read_file("fuzz", LRIAD_GOLDEN_DIR "/../fuzz/seeds/model_config/flat.json"));
  static const FuzzFile file(kMergedAdaptersFile);
  file.set(input);
  fuzz_refusable([&] {
    const Adapter adapter = read_adapter(LRIAD_GOLDEN_DIR "/cold_start");
    check_origin(adapter, LRIAD_GOLDEN_DIR "/cold_start", fuzz_folder());
  });
}

void import_file(const std::string& input) {
  static const FuzzFile file("import");
  static const Dataset dataset = [] {
    Dataset made;
    made.root = fuzz_folder();
    for (const char* name : {"a.png", "b.png"}) {
      Sample sample;
      sample.id = sample.image = name;
      sample.path = fuzz_folder() / name;
      made.samples.push_back(sample);
    }
    return made;
  }();
  file.set(input);
  fuzz_refusable([&] {
    fuzz_check(import_predictions(file.path(), dataset, {.threshold = std::nullopt, .partial = true}).size() <= 2);
  });
}

void predictions(const std::string& input) {
  static const FuzzFile file("predictions.jsonl");
  file.set(input);
  fuzz_refusable([&] {
    const PredictionLog log = read_predictions(file.path());
    fuzz_check(log.complete_bytes <= input.size());
    for (const Prediction& prediction : log.predictions) parse_prediction(prediction_line(prediction));
  });
}

void eval_settings(const std::string& input) {
  static const FuzzFile file("settings.json"), again("again.json");
  file.set(input);
  fuzz_refusable([&] {
    const Settings settings = Settings::read(file.path());
    again.set(settings.json());
    fuzz_check(Settings::read(again.path()).difference(settings).empty());
  });
}

std::string page_of(const std::string& words) {
  Prediction prediction;
  prediction.sample_id = prediction.image = prediction.object = prediction.defect_type = prediction.text = words;
  prediction.label = Verdict::kDefect;
  ReportInput input;
  input.title = words;
  input.about = {{words, words}};
  input.predictions = {prediction};
  input.settings.set(words, words);
  input.metrics.objects[words];
  const std::string url = url_path(words);
  std::string page;
  write_page(input, {{url, url, url, {url}}}, [&](std::string_view part) { page += part; });
  return page;
}

/// Uses the input as all texts of a report, which must contain no markup from it.
void html(const std::string& input) {
  fuzz_check(html_escape(input).find_first_of("<>\"'") == std::string::npos);
  fuzz_check(url_path(input).find_first_of("<>\"'& \\") == std::string::npos);
  const auto tags = [](const std::string& page) { return std::count(page.begin(), page.end(), '<'); };
  static const auto expected = tags(page_of("x"));
  fuzz_check(tags(page_of(input)) == expected);
}

void answer(const std::string& input) {
  RewardInput scored;
  scored.verdict = parse_answer(input);
  const std::vector<Reward> rewards = score_group(RewardSection(), {scored, RewardInput()}, {true, 1.0, 64});
  fuzz_check(std::isfinite(rewards.at(0).total) && rewards.at(0).total >= rewards.at(1).total);
}

/// Uses the input as trainer_state.json and DONE of a checkpoint.
void checkpoint(const std::string& input) {
  static const FuzzFile state("checkpoint-1/trainer_state.json"), done("checkpoint-1/DONE");
  static const FuzzFile tensors("checkpoint-1/state.safetensors", "0123456789");
  state.set(input);
  done.set(input);
  fuzz_refusable([&] { find_checkpoint(fuzz_folder(), "auto"); });
  fuzz_refusable([&] { fuzz_check(read_trainer_state(state.path().parent_path()).global_step >= 0); });
}

/// Uses the input as the saved texts of guard, alarms and running recall in a checkpoint.
void saved_texts(const std::string& input) {
  fuzz_refusable([&] {
    HealthGuard guard{GuardSection()};
    guard.restore(input);
    guard.check({});
    guard.restore(guard.save());
  });
  fuzz_refusable([&] {
    Alarms alarms;
    alarms.restore(input);
    alarms.observe({});
    alarms.restore(alarms.save());
  });
  fuzz_refusable([&] {
    RunningRecall recall;
    recall.restore(input);
    fuzz_check(recall.save() == input && std::isfinite(recall.factor(10.0)));
  });
}

/// Uses the input as metrics.jsonl and as an event file, and cuts both after a step as --resume does.
void run_logs(const std::string& input) {
  static const FuzzFile metrics("metrics.jsonl"), events("events.out.tfevents.1");
  metrics.set(input);
  events.set(input);
  fuzz_check(events_until(input, 3) <= input.size());
  fuzz_refusable([&] { truncate_run_logs(fuzz_folder(), 3); });
  fuzz_check(fs::file_size(metrics.path()) <= input.size() && fs::file_size(events.path()) <= input.size());
}

void refused_batch(const std::string& input) {
  static const FuzzFile file("rank-0.safetensors");
  file.set(input);
  fuzz_refusable([&] {
    for (const std::vector<Group>& pass : read_refused_batch(file.path()).passes) {
      for (const Group& group : pass) fuzz_check(group.num_tokens() > 0);
    }
  });
}

constexpr FuzzTarget kTargets[] = {{"safetensors", safetensors},
                                   {"weight_index", weight_index},
                                   {"model_config", model_config},
                                   {"adapter_config", adapter_config},
                                   {"merged_adapters", merged_adapters},
                                   {"import", import_file},
                                   {"predictions", predictions},
                                   {"eval_settings", eval_settings},
                                   {"html", html},
                                   {"answer", answer},
                                   {"checkpoint", checkpoint},
                                   {"saved_texts", saved_texts},
                                   {"run_logs", run_logs},
                                   {"refused_batch", refused_batch}};

}  // namespace

std::span<const FuzzTarget> fuzz_targets() { return kTargets; }

}  // namespace lriad

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>

#include "evaluation.h"
#include "lriad/core/error.h"
#include "lriad/eval/predictions.h"
#include "lriad/vision/write_png.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kExampleSide = 400, kExamplesOfALabel = 2;

/// Markdown, in which a text indented by four spaces stays as it is.
std::string example_text(const Prediction& p) {
  const std::string label = p.label ? verdict_name(*p.label) : "none";
  std::string text = concat("label ", label, ", answer ", verdict_text(p));
  if (p.score) text += concat(", score ", *p.score);
  text += "\n\n    ";
  for (const char c : p.unreadable() ? p.error : p.text) text += c == '\n' ? std::string("\n    ") : std::string(1, c);
  return text;
}

EventExample example_of(const Prediction& prediction, const fs::path& image) {
  EventExample example;
  example.tag = "evaluation/" + prediction.image;
  example.text = example_text(prediction);
  try {
    const Thumbnail thumbnail = make_thumbnail(image, kExampleSide);
    example.image = thumbnail.bytes;
    example.width = thumbnail.width;
    example.height = thumbnail.height;
  } catch (const Error&) {
    // The evaluation named it.
  }
  return example;
}

}  // namespace

ReportInput evaluation_report(const Evaluation& evaluation, const RunContext& context, int64_t step, bool best) {
  const Config& config = context.config;
  const fs::path run = fs::absolute(config.output_dir).lexically_normal();
  ReportInput report;
  report.title = concat((run / "").parent_path().filename().string(), " after step ", step);
  report.about = about_data(*config.eval_data);
  std::ranges::copy(about_prompt(config.prompt), std::back_inserter(report.about));
  report.predictions = evaluation.predictions;
  report.metrics = evaluation.report;
  if (best) {
    report.metrics.chosen_on = {
        concat(config.train.metric_for_best_model, " on ", config.eval_data->root, ", split ", config.eval_data->split),
        /*same_data=*/true};
  }
  report.settings.set("model", config.model.path);
  report.settings.set("run", run.string());
  report.settings.set("step", step);
  report.settings.set("max_new_tokens", config.eval.max_new_tokens);
  report.settings.set("temperature", config.eval.temperature);
  add_images(report, *context.eval_data);
  report.run_log = run / "metrics.jsonl";
  return report;
}

std::vector<EventExample> evaluation_examples(const Evaluation& evaluation, const RunContext& context) {
  std::map<std::optional<Verdict>, int64_t> taken;
  std::vector<EventExample> examples;
  for (size_t i = 0; i < evaluation.predictions.size(); ++i) {
    const Prediction& prediction = evaluation.predictions[i];
    if (++taken[prediction.label] <= kExamplesOfALabel)
      examples.push_back(example_of(prediction, context.eval_data->samples[i].path));
  }
  return examples;
}

}  // namespace lriad

#include "model_card.h"

#include <cstdio>
#include <filesystem>

#include "lriad/core/error.h"
#include "lriad/core/version.h"
#include "lriad/model/model_folder.h"

namespace lriad {
namespace {

std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value * 100);
  return text;
}

/// The last part of a path: a card is published, the folders of this machine are not.
std::string last_name(const std::string& path) {
  return (std::filesystem::path(path).lexically_normal() / "").parent_path().filename().string();
}

std::string front_matter(const Config& config) {
  std::string text = concat("---\nbase_model: ", model_name(config.model.path), "\n");
  if (config.trainable == Trainable::kLora) text += "library_name: peft\n";
  return text + "pipeline_tag: image-text-to-text\ntags: [industrial-inspection, anomaly-detection, lriad]\n---\n";
}

std::string data_section(const RunContext& context) {
  return concat("## Training data\n\n`", last_name(context.config.data.root), "`, split ", context.config.data.split,
                "\n\n```\n", describe(context.data), "```\n");
}

std::string settings_section(const RunContext& context) {
  const Config& c = context.config;
  std::string text = concat(
      "## Settings\n\nThe whole configuration is `config.yaml` in the run folder; `lriad-eval` takes "
      "prompt and image settings from `lriad_settings.json`.\n\n- stage: ",
      c.stage == Stage::kGrpo ? "grpo" : "sft", ", preset: ", c.preset.value_or("none"), ", seed: ", c.seed,
      "\n- learning rate: ", c.optim.learning_rate, "\n");
  if (c.trainable == Trainable::kLora) {
    text += concat("- LoRA: r ", context.adapter.r, ", alpha ", context.adapter.lora_alpha, ", on ",
                   context.adapter.target_modules.text(), "\n");
  }
  if (c.data.reference.normal > 0)
    text += concat("- reference images: ", c.data.reference.normal, " normal ones of the object before each image\n");
  return text + concat("- pixels of an image: ", c.image.min_pixels, " to ", c.image.max_pixels, "\n\nPrompt:\n\n```\n",
                       c.prompt.template_text, "\n```\n");
}

std::string limits_section(const RunState& run) {
  std::string text = "## What was not shown\n\n";
  if (!run.trainer.extra.contains("evaluation")) {
    text += "- This model was not evaluated during training. `lriad-eval` gives its metrics on labelled images.\n";
  } else {
    text += "- Other objects, cameras and lighting than those of the evaluation data were not tested.\n";
  }
  if (run.trainer.best_step >= 0) {
    text += concat("- The best checkpoint, checkpoint-", run.trainer.best_step,
                   ", was chosen on the evaluation data above: its metrics there are too good.\n");
  }
  return text +
         "- Whether the model looks at the defect itself was not tested: data in which defective parts differ in "
         "another "
         "way can be told apart without seeing any defect.\n";
}

}  // namespace

std::string evaluation_section(const Config& config, const MetricsReport& report, int64_t step) {
  const Coverage& coverage = report.coverage;
  std::string text =
      concat("## Evaluation\n\nAfter step ", step, ", on `", last_name(config.eval_data->root), "`, split ",
             config.eval_data->split, ": answered ", coverage.answered, " of ", coverage.labelled,
             " labelled images, unreadable ", coverage.unreadable, ", with a score ", coverage.scored,
             ". In percent, with 95% intervals.\n\n| metric | all images | mean of objects |\n|---|---|---|\n");
  const auto shown = [](const ClassMetrics& m, const NamedFraction& fraction) -> std::string {
    if (!(m.*fraction.value)) return "undefined";
    const ClassMetrics::Interval interval = fraction.interval == nullptr ? std::nullopt : m.*fraction.interval;
    const std::string value = percent(*(m.*fraction.value));
    return interval ? concat(value, " (", percent((*interval)[0]), " to ", percent((*interval)[1]), ")") : value;
  };
  for (const NamedFraction& fraction : named_fractions()) {
    text += concat("| ", fraction.name, " | ", shown(report.overall, fraction), " | ",
                   shown(report.object_mean, fraction), " |\n");
  }
  return text;
}

std::string model_card(const RunState& run) {
  const RunContext& context = run.context;
  const Config& config = context.config;
  const auto evaluation = run.trainer.extra.find("evaluation");
  std::string text = front_matter(config);
  text +=
      concat("# ", last_name(config.output_dir), "\n\n", config.trainable == Trainable::kLora ? "An adapter of " : "",
             model_name(config.model.path), " that judges photographs of parts as defect or normal, trained by lriad ",
             kVersion, " for ", run.trainer.global_step, " steps.\n\n");
  text += data_section(context) + "\n" + settings_section(context) + "\n";
  if (evaluation != run.trainer.extra.end()) text += evaluation->second + "\n";
  return text + limits_section(run);
}

}  // namespace lriad

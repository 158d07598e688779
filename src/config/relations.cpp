#include "relations.h"

#include "lriad/config/data_formats.h"
#include "lriad/config/prompt_template.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

void check_stage(const Config& c, const Complain& complain) {
  if (c.trainable == Trainable::kAll && c.stage != Stage::kSft) {
    complain({"trainable", "stage"}, "trainable is all, which goes with stage sft only; for grpo use lora");
  }
  if (c.trainable == Trainable::kAll && c.model.adapter) {
    complain({"model.adapter", "trainable"},
             "model.adapter goes with trainable lora; merge it into the model to train all");
  }
  if (c.stage != Stage::kSft || data_format(c.data.format).has_responses) return;
  for (const char* label : {"defect", "normal"}) {
    if (c.sft.responses.contains(label)) continue;
    complain(
        {"sft.responses", "stage", "data.format"},
        concat("sft.responses has no texts for ", label, ", which stage sft needs with data.format ", c.data.format));
  }
}

void check_grpo(const Config& c, const Complain& complain) {
  const FocalSection& focal = c.reward.focal;
  const bool own_p = focal.p == FocalP::kAnswerSoftmax || focal.p == FocalP::kAnswerToken;
  if (c.reward.answer == AnswerReward::kFocal && focal.where == FocalWhere::kAdvantage) {
    if (own_p) {
      complain({"reward.focal.p", "reward.focal.where", "reward.answer"},
               "reward.focal.p must be group_mean or group_rate when reward.focal.where is advantage");
    }
    if (focal.wrong == FocalWrong::kPenalty) {
      complain({"reward.focal.wrong", "reward.focal.where", "reward.answer"},
               "reward.focal.wrong: penalty has no meaning when reward.focal.where is advantage; use zero");
    }
  }
  if (c.grpo.epsilon_high && !c.grpo.epsilon) {
    complain({"grpo.epsilon_high", "grpo.epsilon"},
             "grpo.epsilon_high is set, but grpo.epsilon is null (no clipping); set both or neither");
  }
  if (c.reward.soft_overlong_weight != 0 && c.reward.soft_overlong_cache > c.rollout.max_completion_length) {
    complain({"reward.soft_overlong_cache", "rollout.max_completion_length"},
             concat("reward.soft_overlong_cache is ", c.reward.soft_overlong_cache,
                    ", expected at most rollout.max_completion_length, ", c.rollout.max_completion_length));
  }
  if (c.reward.format_weight == 0 && c.reward.answer_weight == 0) {
    complain({"reward.answer_weight", "reward.format_weight"},
             "reward.answer_weight and reward.format_weight are both 0, so that nothing is learned");
  }
}

}  // namespace

void check_required(const Config& c, ConfigUse use, const Complain& complain) {
  if (use == ConfigUse::kRewards) return;
  if (use == ConfigUse::kTrain) {
    if (c.output_dir.empty())
      complain({"output_dir"}, "output_dir is not set; give the folder of the run, or --output");
    if (c.model.path.empty())
      complain({"model.path"}, "model.path is not set; give the folder of a Qwen2-VL, Qwen2.5-VL or Qwen3-VL");
    if (c.data.root.empty()) complain({"data.root"}, "data.root is not set; give the folder of the training data");
  }
  if (c.eval_data && c.eval_data->root.empty()) {
    complain({"eval_data.root"}, "eval_data.root is not set; give the folder of the data to evaluate on");
  }
  if (use == ConfigUse::kTrain && c.train.eval_steps > 0 && !c.eval_data) {
    complain({"train.eval_steps"},
             "train.eval_steps needs eval_data, the data to evaluate on; set it or eval_steps: 0");
  }
}

void check_relations(const Config& c, ConfigUse use, const Complain& complain) {
  if (c.image.min_pixels > c.image.max_pixels) {
    complain({"image.min_pixels", "image.max_pixels"},
             concat("image.min_pixels is ", c.image.min_pixels, ", expected at most image.max_pixels, ",
                    c.image.max_pixels));
  }
  if (use == ConfigUse::kEval) return;
  const std::string problem = template_problem(c);
  if (!problem.empty()) complain({"prompt.template", "data.reference.normal"}, problem);
  check_stage(c, complain);
  if (c.stage == Stage::kGrpo) check_grpo(c, complain);
}

}  // namespace lriad

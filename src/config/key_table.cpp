#include "key_table.h"

#include <algorithm>

#include "key_table_training.h"
#include "lriad/config/data_formats.h"
#include "presets.h"

namespace lriad {
namespace {

constexpr int64_t kMany = 1'000'000'000;
constexpr double kHuge = 1e12;

/// Adds keys of one section.
class Section {
 public:
  Section(std::vector<Key>& keys, std::string prefix) : keys_(keys), prefix_(std::move(prefix)) {}
  void add(const char* name, FieldPointer field, std::string comment) {
    keys_.push_back({prefix_ + name, std::move(comment), std::move(field)});
  }

 private:
  std::vector<Key>& keys_;
  std::string prefix_;
};

const char* any_text(const std::string&) { return nullptr; }

void add_run(std::vector<Key>& keys, Config& c) {
  Section s(keys, "");
  s.add("stage", choice_field<Stage>(c.stage, {{"grpo", Stage::kGrpo}, {"sft", Stage::kSft}}),
        "grpo | sft (cold start on target texts)");
  s.add("output_dir", text_field(c.output_dir, not_empty), "folder of the run");
  s.add("seed", seed_field(c.seed), "of sampling, dropout, order of the data and new adapters");
  s.add("preset", text_field(c.preset, preset_rule), "fills reward, grpo and sampler keys that nobody set");
}

void add_model(std::vector<Key>& keys, Config& c) {
  const std::vector<std::pair<std::string, Dtype>> dtypes = {
      {"bfloat16", Dtype::kBfloat16}, {"float32", Dtype::kFloat32}, {"float64", Dtype::kFloat64}};
  Section model(keys, "model.");
  model.add("path", text_field(c.model.path, not_empty), "Hugging Face folder of a Qwen2-VL, Qwen2.5-VL or Qwen3-VL");
  model.add("adapter", text_field(c.model.adapter, not_empty),
            "PEFT folder to start from, trained further; null = new");
  model.add("dtype", choice_field(c.model.dtype, dtypes), "bfloat16 | float32 | float64, of the frozen weights");
  model.add("gradient_checkpointing",
            choice_field<Switch>(c.model.gradient_checkpointing,
                                 {{"auto", Switch::kAuto}, {"on", Switch::kOn}, {"off", Switch::kOff}}),
            "auto | on | off: compute activations again to save memory");
  Section cache(keys, "model.vision_cache.");
  cache.add("memory_mb", integer_field(c.model.vision_cache.memory_mb, {0, kMany}),
            "MiB of images' features kept over the epochs; 0 = off");
  cache.add("disk_mb", integer_field(c.model.vision_cache.disk_mb, {0, kMany}), "MiB of them in folder; 0 = off");
  cache.add("folder", text_field(c.model.vision_cache.folder, not_empty), "where; null = not on disk");
  Section(keys, "").add("trainable",
                        choice_field<Trainable>(c.trainable, {{"lora", Trainable::kLora}, {"all", Trainable::kAll}}),
                        "lora | all (sft only, vision tower included)");
  Section lora(keys, "lora.");
  lora.add("r", integer_field(c.lora.r, {1, 4096}), "rank");
  lora.add("lora_alpha", real_field(c.lora.lora_alpha, {0, 1e6, Ends::kWithoutLow}),
           "scale: the update counts alpha / r");
  lora.add("lora_dropout", real_field(c.lora.lora_dropout, {0, 1, Ends::kWithoutHigh}), "probability");
  lora.add("target_modules", modules_field(c.lora.target_modules, Null::kDefault),
           "as PEFT: names of layers of decoder or vision tower, a regular expression, or all-linear");
  lora.add("exclude_modules", modules_field(c.lora.exclude_modules, Null::kNone),
           "names or a regular expression of layers that get no branch; null = none");
}

/// How many reference images there are is the same in training and evaluation, so it is a key of `data` alone.
void add_reference(std::vector<Key>& keys, ReferenceSection& r, const std::string& prefix) {
  Section s(keys, prefix);
  if (prefix == "data.reference.") {
    s.add("normal", integer_field(r.normal, {0, 64}),
          "normal images of the same object that a prompt shows first; 0 = none");
  }
  s.add("root", text_field(r.root, not_empty),
        "data set they are drawn from; null = the data, evaluated data's split train");
}

void add_data(std::vector<Key>& keys, DataSection& d, const std::string& prefix) {
  Section s(keys, prefix);
  std::vector<std::string> names;
  for (const DataFormat& format : data_formats()) names.push_back(format.name);
  s.add("format", word_field(d.format, names), data_format_names(" | "));
  s.add("root", text_field(d.root, not_empty), "folder of the data set, or its file, as the format has it");
  s.add("split", text_field(d.split, not_empty), "all (train and test) | train | test | one that the format has");
  s.add("objects", list_field(d.objects), "list of objects; null = every one");
  s.add("object_names", names_field(d.object_names), "names for the prompt: {\"01\": \"circular mold\"}");
  s.add("max_samples", integer_field(d.max_samples, {1, kMany}), "images; null = all");
  s.add("sampler",
        choice_field<SamplerKind>(d.sampler, {{"shuffle", SamplerKind::kShuffle},
                                              {"class_balanced", SamplerKind::kClassBalanced},
                                              {"object_balanced", SamplerKind::kObjectBalanced}}),
        "shuffle | class_balanced | object_balanced");
  s.add("bad_image", choice_field<BadImage>(d.bad_image, {{"skip", BadImage::kSkip}, {"fail", BadImage::kFail}}),
        "skip (named, counted, logged) | fail");
  s.add("follow_links", flag_field(d.follow_links),
        "read links out of root, absolute paths and .. too; false refuses them");
  add_reference(keys, d.reference, prefix + "reference.");
}

void add_prompt(std::vector<Key>& keys, Config& c) {
  Section prompt(keys, "prompt.");
  prompt.add("template", text_field(c.prompt.template_text, not_empty),
             "text of the user turn; {object} is replaced, {reference} and {image} are images");
  prompt.add("system", text_field(c.prompt.system, any_text), "system turn; null = what the chat template inserts");
  prompt.add("max_prompt_length", integer_field(c.prompt.max_prompt_length, {1, 1 << 20}),
             "tokens, image tokens included; a longer prompt is refused at start");
  Section image(keys, "image.");
  image.add("min_pixels", integer_field(c.image.min_pixels, {1, kMany}), "pixels; smaller images are enlarged");
  image.add("max_pixels", integer_field(c.image.max_pixels, {784, kMany}),
            "pixels; larger images are reduced; 784 make one token");
  image.add("backend",
            choice_field<ResizeBackend>(c.image.backend,
                                        {{"pil", ResizeBackend::kPil}, {"torchvision", ResizeBackend::kTorchvision}}),
            "pil | torchvision: whose resizing is followed");
  image.add("sixteen_bit",
            choice_field<SixteenBit>(c.image.sixteen_bit,
                                     {{"saturate", SixteenBit::kSaturate}, {"scale", SixteenBit::kScale}}),
            "saturate (as Pillow: above 255 is white) | scale (the high byte), of gray with 16 bits");
  Section(keys, "sft.")
      .add("responses", responses_field(c.sft.responses),
           "stage sft: target texts {defect: [...], normal: [...]} with {object}, {defect_type}");
}

void add_rollout(std::vector<Key>& keys, RolloutSection& r) {
  Section s(keys, "rollout.");
  s.add("num_generations", integer_field(r.num_generations, {2, 1024}), "completions per prompt, G");
  s.add("max_completion_length", integer_field(r.max_completion_length, {1, 1 << 20}), "tokens");
  s.add("temperature", real_field(r.temperature, {0, 100, Ends::kWithoutLow}), "divides the logits");
  s.add("top_p", real_field(r.top_p, {0, 1, Ends::kWithoutLow}), "probability kept, from the top; 1 = off");
  s.add("top_k", integer_field(r.top_k, {0, kMany}), "tokens kept; 0 = off");
  s.add("min_p", real_field(r.min_p, {0, 1}), "least probability, relative to the likeliest token; 0 = off");
  s.add("ban_vision_tokens", flag_field(r.ban_vision_tokens), "never sample image, video, vision start and end ids");
  s.add("renormalise", flag_field(r.renormalise), "log-probabilities under the sampler's truncation too");
}

void add_reward(std::vector<Key>& keys, RewardSection& r) {
  Section s(keys, "reward.");
  s.add("format_weight", real_field(r.format_weight, {0, 1e6}), "of the format reward, 1 or 0");
  s.add("answer_weight", real_field(r.answer_weight, {0, 1e6}), "of the answer reward");
  s.add("answer",
        choice_field<AnswerReward>(r.answer, {{"focal", AnswerReward::kFocal}, {"accuracy", AnswerReward::kAccuracy}}),
        "focal (eq. 4) | accuracy (1 right, 0 wrong)");
  s.add("missed_cost", real_field(r.missed_cost, {0, 1e6}),
        "taken from the answer reward of what does not recognise a defect");
  s.add("false_alarm_cost", real_field(r.false_alarm_cost, {0, 1e6}), "the same for a normal image");
  s.add("soft_overlong_weight", real_field(r.soft_overlong_weight, {0, 1e6}),
        "of a penalty for lengths near rollout.max_completion_length; 0 = off");
  s.add("soft_overlong_cache", integer_field(r.soft_overlong_cache, {1, kMany}),
        "tokens before the limit over which that penalty grows from 0 to -1");
  Section focal(keys, "reward.focal.");
  focal.add("alpha", real_field(r.focal.alpha, {0, 1e6}), "factor");
  focal.add("gamma", real_field(r.focal.gamma, {0, 100}), "exponent of 1 - p");
  focal.add("f", real_field(r.focal.f, {0, 1e6}), "weight of defects with f_mode fixed");
  focal.add("f_mode",
            choice_field<FocalF>(r.focal.f_mode, {{"fixed", FocalF::kFixed},
                                                  {"dataset", FocalF::kDataset},
                                                  {"object", FocalF::kObject},
                                                  {"sqrt_dataset", FocalF::kSqrtDataset},
                                                  {"running_recall", FocalF::kRunningRecall}}),
            "fixed | dataset (N/D) | object (N/D of the object) | sqrt_dataset | running_recall");
  focal.add("f_cap", real_field(r.focal.f_cap, {1, 1e6}), "largest f; null = none");
  focal.add("p",
            choice_field<FocalP>(r.focal.p, {{"answer_softmax", FocalP::kAnswerSoftmax},
                                             {"answer_token", FocalP::kAnswerToken},
                                             {"group_rate", FocalP::kGroupRate},
                                             {"group_mean", FocalP::kGroupMean}}),
            "answer_softmax | answer_token | group_rate | group_mean");
  focal.add("wrong",
            choice_field<FocalWrong>(r.focal.wrong, {{"zero", FocalWrong::kZero}, {"penalty", FocalWrong::kPenalty}}),
            "zero | penalty (-alpha (1-p)^gamma f)");
  focal.add(
      "where",
      choice_field<FocalWhere>(r.focal.where, {{"reward", FocalWhere::kReward}, {"advantage", FocalWhere::kAdvantage}}),
      "reward | advantage: what is weighted");
}

void add_grpo(std::vector<Key>& keys, GrpoSection& g) {
  Section s(keys, "grpo.");
  s.add("scale_rewards",
        choice_field<ScaleRewards>(
            g.scale_rewards,
            {{"group", ScaleRewards::kGroup}, {"batch", ScaleRewards::kBatch}, {"none", ScaleRewards::kNone}}),
        "group | batch | none: whose standard deviation divides the advantages");
  s.add("std", choice_field<StdKind>(g.std, {{"population", StdKind::kPopulation}, {"unbiased", StdKind::kUnbiased}}),
        "population (eq. 7) | unbiased (TRL)");
  s.add("advantage_eps", real_field(g.advantage_eps, {0, 1e6, Ends::kWithoutLow}), "added to the standard deviation");
  s.add("policy_loss",
        choice_field<PolicyLoss>(g.policy_loss, {{"logp", PolicyLoss::kLogp}, {"ratio", PolicyLoss::kRatio}}),
        "logp (A log pi, eq. 9) | ratio (clipped)");
  s.add("loss_type",
        choice_field<LossType>(g.loss_type, {{"grpo", LossType::kGrpo},
                                             {"bnpo", LossType::kBnpo},
                                             {"dr_grpo", LossType::kDrGrpo},
                                             {"dapo", LossType::kDapo}}),
        "grpo | bnpo | dr_grpo | dapo: the normaliser");
  s.add("beta", real_field(g.beta, {0, 1e6}), "weight of the KL term; 0 = no reference pass");
  s.add("kl_anchor",
        choice_field<KlReference>(g.kl_anchor, {{"base", KlReference::kBase},
                                                {"initial_adapter", KlReference::kInitialAdapter},
                                                {"old", KlReference::kOld}}),
        "base | initial_adapter | old: what the KL term holds to");
  s.add("epsilon", real_field(g.epsilon, {0, kHuge}), "clip of the ratio, 1 - epsilon; null = no clipping");
  s.add("epsilon_high", real_field(g.epsilon_high, {0, kHuge}), "clip above, 1 + epsilon_high; null = epsilon");
  s.add("num_iterations", integer_field(g.num_iterations, {1, 1000}), "optimizer steps per sampling");
  s.add("zero_variance",
        choice_field<ZeroVariance>(g.zero_variance, {{"keep", ZeroVariance::kKeep},
                                                     {"drop", ZeroVariance::kDrop},
                                                     {"resample", ZeroVariance::kResample},
                                                     {"resample_wrong", ZeroVariance::kResampleWrong}}),
        "keep | drop | resample: groups whose rewards are all equal | resample_wrong: groups with no right answer");
  s.add("max_resamples", integer_field(g.max_resamples, {1, 1000}),
        "tries with zero_variance resample, resample_wrong");
  s.add("mask_truncated_completions", flag_field(g.mask_truncated_completions), "leave them out of the loss");
}

}  // namespace

std::vector<Key> key_table(Config& config) {
  std::vector<Key> keys;
  add_run(keys, config);
  add_model(keys, config);
  add_data(keys, config.data, "data.");
  if (config.eval_data) add_data(keys, *config.eval_data, "eval_data.");
  add_prompt(keys, config);
  add_rollout(keys, config.rollout);
  add_reward(keys, config.reward);
  add_grpo(keys, config.grpo);
  add_training_keys(keys, config);
  return keys;
}

std::vector<std::string> section_names(const std::vector<Key>& keys) {
  std::vector<std::string> names = {"eval_data"};
  for (const Key& key : keys) {
    for (std::size_t dot = key.name.find('.'); dot != std::string::npos; dot = key.name.find('.', dot + 1)) {
      const std::string name = key.name.substr(0, dot);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

}  // namespace lriad

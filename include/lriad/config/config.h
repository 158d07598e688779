#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/module_names.h"
#include "lriad/core/all_reduce.h"

namespace lriad {

/// The paper's prompt (section III-D) with {object} in it, five lines without a last newline; the default of
/// prompt.template.
extern const char* const kPaperPrompt;

/// The paper's prompt with reference images before the image to judge: its default with data.reference.normal above 0.
extern const char* const kReferencePrompt;

enum class Stage { kGrpo, kSft };
enum class Trainable { kLora, kAll };
enum class Dtype { kBfloat16, kFloat32, kFloat64 };
enum class Switch { kAuto, kOn, kOff };
enum class SamplerKind { kShuffle, kClassBalanced, kObjectBalanced };
enum class BadImage { kSkip, kFail };
enum class ResizeBackend { kPil, kTorchvision };
enum class SixteenBit { kSaturate, kScale };
enum class AnswerReward { kFocal, kAccuracy };
enum class FocalF { kFixed, kDataset, kObject, kSqrtDataset, kRunningRecall };
enum class FocalP { kAnswerSoftmax, kAnswerToken, kGroupRate, kGroupMean };
enum class FocalWrong { kZero, kPenalty };
enum class FocalWhere { kReward, kAdvantage };
enum class ScaleRewards { kGroup, kBatch, kNone };
enum class StdKind { kPopulation, kUnbiased };
enum class PolicyLoss { kLogp, kRatio };
enum class LossType { kGrpo, kBnpo, kDrGrpo, kDapo };
enum class KlReference { kBase, kInitialAdapter, kOld };
enum class ZeroVariance { kKeep, kDrop, kResample, kResampleWrong };
enum class Schedule { kLinear, kCosine, kConstant };
enum class GuardAction { kSkip, kStop };

/// Cache of the vision tower's output for images, used while nothing in the tower is trained.
struct VisionCacheSection {
  int64_t memory_mb = 1024;           ///< MiB of features kept in memory, >= 0; 0 = off
  int64_t disk_mb = 0;                ///< MiB of features kept in `folder`, >= 0; 0 = off
  std::optional<std::string> folder;  ///< folder of the disk cache; may be shared by runs with the same tower
};

struct ModelSection {
  std::string path;                    ///< Hugging Face folder of the model
  std::optional<std::string> adapter;  ///< PEFT folder whose adapter is trained further; null: a new adapter
  Dtype dtype = Dtype::kBfloat16;      ///< of weights and activations; sums and the adapter are float32
  Switch gradient_checkpointing =
      Switch::kAuto;  ///< recompute layers in the backward pass; auto: only if memory is short
  VisionCacheSection vision_cache;
};

/// A new adapter. Source of names and defaults: peft.LoraConfig; r and alpha as in the paper, section IV.
struct LoraSection {
  int64_t r = 4;                                            ///< rank, >= 1
  double lora_alpha = 16;                                   ///< scale of the branch is lora_alpha / r, > 0
  double lora_dropout = 0.1;                                ///< probability, [0, 1)
  ModuleNames target_modules = {{"q_proj", "v_proj"}, ""};  ///< layers of decoder and vision tower with a branch
  ModuleNames exclude_modules;                              ///< those of them that get none
};

/// Images that a prompt shows before the one to judge: normal ones of the same object. The field's n-shot setting.
struct ReferenceSection {
  int64_t normal = 0;  ///< images in each prompt, >= 0; 0: none. eval_data takes that of data
  std::optional<std::string>
      root;  ///< data set that they come from; null: the data itself, evaluated data's split train
};

struct DataSection {
  std::string format = "mvtec";                     ///< layout of `root`, a word of config/data_formats.h
  std::string root;                                 ///< folder, or the file of such formats as jsonl
  std::string split = "all";                        ///< all | train | test | one that the format has
  std::optional<std::vector<std::string>> objects;  ///< null: every object
  std::map<std::string, std::string> object_names;  ///< object -> its name in the prompt
  std::optional<int64_t> max_samples;               ///< >= 1, spread evenly over the sorted list; null: all
  SamplerKind sampler = SamplerKind::kShuffle;      ///< order of an epoch
  BadImage bad_image = BadImage::kSkip;             ///< what happens to an image that cannot be read
  bool follow_links = true;                         ///< read links out of `root`, absolute paths and `..` too
  ReferenceSection reference;
};

/// The prompt. Default: the paper, section III-D.
struct PromptSection {
  /// key `template`; {object} is replaced by the object's name, {reference} by the reference images, {image} by the one
  /// to judge, which without that word stands behind the reference images, else first
  std::string template_text = kPaperPrompt;
  std::optional<std::string> system;  ///< system turn; null: what the chat template inserts
  int64_t max_prompt_length = 1024;   ///< tokens, image tokens included; longer prompts are refused
};

/// Images before they reach the vision tower. Source: transformers, Qwen2VLImageProcessor.
struct ImageSection {
  int64_t min_pixels = 3136;                       ///< smaller images are enlarged to this area
  int64_t max_pixels = 401408;                     ///< larger ones are shrunk to this area
  ResizeBackend backend = ResizeBackend::kPil;     ///< whose bicubic resize is reproduced bit by bit
  SixteenBit sixteen_bit = SixteenBit::kSaturate;  ///< gray of 16 bits: cut at 255 as Pillow does, or the high byte
};

/// Sampling of completions. Source of names: trl.GRPOConfig; values as in the paper, section IV.
struct RolloutSection {
  int64_t num_generations = 4;          ///< G, completions of a prompt, >= 2
  int64_t max_completion_length = 256;  ///< tokens, >= 1
  double temperature = 1.0;             ///< > 0; also divides the logits of the training passes, as in TRL
  double top_p = 1.0;                   ///< (0, 1], 1 = off
  int64_t top_k = 0;                    ///< tokens, >= 0, 0 = off
  double min_p = 0.0;                   ///< [0, 1], share of the likeliest token's probability, 0 = off
  bool ban_vision_tokens = true;        ///< never sample image, video, vision start and vision end ids
  bool renormalise = false;             ///< log-probabilities of the training passes over the sampler's tokens only
};

/// Focal reward of a right answer: alpha (1 - p)^gamma f. Paper, eq. 4 and 5.
struct FocalSection {
  double alpha = 1.0;                      ///< factor, >= 0
  double gamma = 2.0;                      ///< exponent, >= 0; with 0 all right answers have the same reward
  double f = 1.0;                          ///< class factor f of all images with f_mode fixed, >= 0
  FocalF f_mode = FocalF::kFixed;          ///< how f is chosen; except with fixed, it is 1 for normal images
  std::optional<double> f_cap;             ///< upper limit of f, >= 1; null: none
  FocalP p = FocalP::kAnswerSoftmax;       ///< which probability of the right answer is p
  FocalWrong wrong = FocalWrong::kZero;    ///< reward of a wrong answer: 0, or -alpha (1 - p)^gamma f
  FocalWhere where = FocalWhere::kReward;  ///< use the factor in the reward, or as a factor of the group's advantages
};

/// Reward of a completion: the weighted sum of its components. Paper, eq. 3.
struct RewardSection {
  double format_weight = 1.0;                  ///< weight of the format reward (1 if well-formed, else 0), >= 0
  double answer_weight = 1.0;                  ///< weight of the answer reward, >= 0
  AnswerReward answer = AnswerReward::kFocal;  ///< answer reward of a right answer: focal, or accuracy (1)
  double missed_cost = 0;            ///< >= 0, subtracted from the answer reward if a defect is not recognised
  double false_alarm_cost = 0;       ///< >= 0, subtracted if a normal image is not recognised
  double soft_overlong_weight = 0;   ///< >= 0, weight of the penalty for long completions, 0 = off; DAPO, eq. 13
  int64_t soft_overlong_cache = 64;  ///< tokens before the length limit over which it decreases from 0 to -1
  FocalSection focal;
};

/// Advantages and loss. Source of names: trl.GRPOConfig.
struct GrpoSection {
  ScaleRewards scale_rewards = ScaleRewards::kGroup;  ///< whose standard deviation divides the advantages
  StdKind std = StdKind::kPopulation;                 ///< divisor n (paper, eq. 7) or n - 1 (TRL)
  double advantage_eps = 1e-4;                        ///< added to the standard deviation, >= 0
  PolicyLoss policy_loss = PolicyLoss::kLogp;         ///< -A log pi (paper, eq. 9) or the clipped ratio (TRL)
  LossType loss_type = LossType::kGrpo;               ///< normaliser of the sum over tokens
  double beta = 0.04;                                 ///< weight of the KL term, >= 0; 0 skips the reference
  KlReference kl_anchor = KlReference::kBase;         ///< the reference of the KL term
  std::optional<double> epsilon = 0.2;                ///< the ratio is clipped to [1 - epsilon, ...]; null: not clipped
  std::optional<double> epsilon_high;                 ///< ... 1 + epsilon_high]; null: epsilon
  int64_t num_iterations = 1;                         ///< optimizer steps with the same rollouts, >= 1
  ZeroVariance zero_variance = ZeroVariance::kKeep;   ///< what happens to groups whose rewards are all equal
  int64_t max_resamples = 3;                          ///< at most so many per group and step, for resample*
  bool mask_truncated_completions = false;            ///< leave completions without an end token out of the loss
};

/// AdamW and its learning rate. Source of names: transformers.TrainingArguments.
struct OptimSection {
  double learning_rate = 1e-6;  ///< of the first step after the warm-up, >= 0
  Schedule lr_scheduler_type = Schedule::kLinear;
  double warmup_ratio = 0.0;   ///< share of all steps, [0, 1]
  double weight_decay = 0.0;   ///< decoupled, >= 0; not on biases and norms
  double adam_beta1 = 0.9;     ///< [0, 1)
  double adam_beta2 = 0.999;   ///< [0, 1)
  double adam_epsilon = 1e-8;  ///< > 0
  double max_grad_norm = 1.0;  ///< clips the gradient of all trained tensors to this norm; 0 = off
};

/// Steps, batches, checkpoints. Source of names: transformers.TrainingArguments.
struct TrainSection {
  double num_train_epochs = 1;                              ///< > 0
  int64_t max_steps = -1;                                   ///< optimizer steps; > 0 overrides num_train_epochs
  int64_t per_device_train_batch_size = 1;                  ///< prompts (not completions) per rank and batch
  int64_t gradient_accumulation_steps = 2;                  ///< batches per optimizer step
  int64_t logging_steps = 1;                                ///< steps between log lines, >= 1
  int64_t save_steps = 100;                                 ///< steps between checkpoints; 0: only best and stopped
  std::optional<int64_t> save_total_limit;                  ///< checkpoints kept, >= 1; null: all
  int64_t eval_steps = 0;                                   ///< steps between evaluations on eval_data; 0: none
  std::string metric_for_best_model = "balanced_accuracy";  ///< a name of metrics.json; larger is better
  Switch shared_prefix = Switch::kAuto;                     ///< compute a prompt's rows once for all its completions
  int64_t token_budget = 0;                                 ///< most packed rows of one training pass; 0 = auto
};

/// Target texts of stage sft for data formats without target texts.
struct SftSection {
  std::map<std::string, std::vector<std::string>> responses;  ///< for defect and normal; one is chosen at random
};

/// How answers are generated and counted in evaluation.
struct EvalSection {
  int64_t batch_size = 0;            ///< images at once; 0 = auto
  int64_t max_new_tokens = 256;      ///< longest answer in tokens, >= 1
  double temperature = 0.0;          ///< 0: greedy
  bool invalid_extra_class = false;  ///< an unreadable answer is a class of its own instead of a wrong answer
};

/// What a run writes besides metrics.jsonl.
struct LogSection {
  bool completions = true;  ///< completions.jsonl
  bool token_ids = false;   ///< token ids and log-probabilities in completions.jsonl
  bool tensorboard = true;  ///< events.out.tfevents.*
};

/// Processes of a run.
struct DistributedSection {
  std::string devices = "auto";  ///< auto | cpu | N | list such as 0,1,3
  double timeout_s = 600;        ///< seconds after which a rank that does not answer counts as lost, > 0
  double memory_fraction = 1;    ///< share of a GPU's memory that a process may use, (0, 1]
  AllReduce all_reduce = AllReduce::kRankOrder;  ///< how gradients are summed over GPUs; kRing is refused on CPUs
  int64_t max_restarts = 0;  ///< how often the launcher restarts all ranks; torchrun and Slurm have their own ways
};

/// Limits of the health guard, beyond which a step does not update the weights; null = no limit.
struct GuardSection {
  std::optional<double> max_kl;              ///< largest KL, token mean in nats
  std::optional<double> max_grad_norm;       ///< largest gradient norm before clipping
  std::optional<double> zscore = 8;          ///< standard deviations above the mean of the last 100 steps
  GuardAction on_trip = GuardAction::kSkip;  ///< skip the refused step, or stop the run
  int64_t stop_after = 5;                    ///< refused steps among the last 100 that stop the run
};

/// Every key a user can set, with its default, as `lriad-train --config` reads it. Plain data, checked once when
/// read. Sources: the paper's section IV for the published run, transformers, PEFT and TRL for names.
struct Config {
  Stage stage = Stage::kGrpo;
  std::string output_dir;
  uint64_t seed = 42;
  std::optional<std::string> preset;  ///< values for grpo, reward and sampler keys that are not set otherwise
  ModelSection model;
  Trainable trainable = Trainable::kLora;
  LoraSection lora;
  DataSection data;
  std::optional<DataSection> eval_data;
  PromptSection prompt;
  ImageSection image;
  SftSection sft;
  RolloutSection rollout;
  RewardSection reward;
  GrpoSection grpo;
  OptimSection optim;
  TrainSection train;
  EvalSection eval;
  LogSection log;
  DistributedSection distributed;
  GuardSection guard;
};

}  // namespace lriad

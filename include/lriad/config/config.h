#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lriad {

/// The paper's prompt (section III-D) with {object} still in it, five lines without a last newline: the default of
/// prompt.template.
extern const char* const kPaperPrompt;

enum class Stage { kGrpo, kSft };
enum class Trainable { kLora, kAll };
enum class Dtype { kBfloat16, kFloat32, kFloat64 };
enum class Switch { kAuto, kOn, kOff };
enum class DataFormat { kMvtec, kVisa, kFolder, kJsonl };
enum class SamplerKind { kShuffle, kClassBalanced, kObjectBalanced };
enum class BadImage { kSkip, kFail };
enum class ResizeBackend { kPil, kTorchvision };
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

struct VisionCacheSection {
  int64_t memory_mb = 1024;           ///< MiB of images' features kept in memory; 0 = off
  int64_t disk_mb = 0;                ///< MiB kept in `folder`; 0 = off
  std::optional<std::string> folder;  ///< shared by runs with the same tower
};

struct ModelSection {
  std::string path;                    ///< HF folder of a Qwen2-VL
  std::optional<std::string> adapter;  ///< PEFT folder to start from
  Dtype dtype = Dtype::kBfloat16;
  Switch gradient_checkpointing = Switch::kAuto;
  VisionCacheSection vision_cache;
};

struct LoraSection {
  int64_t r = 4;
  double lora_alpha = 16;
  double lora_dropout = 0.1;
  std::vector<std::string> target_modules = {"q_proj", "v_proj"};
};

struct DataSection {
  DataFormat format = DataFormat::kMvtec;
  std::string root;
  std::string split = "all";
  std::optional<std::vector<std::string>> objects;
  std::map<std::string, std::string> object_names;
  std::optional<int64_t> max_samples;
  SamplerKind sampler = SamplerKind::kShuffle;
  BadImage bad_image = BadImage::kSkip;
};

struct PromptSection {
  std::string template_text = kPaperPrompt;  ///< key `template`; {object} is replaced
  std::optional<std::string> system;         ///< null: what the chat template inserts
  int64_t max_prompt_length = 1024;          ///< tokens, image tokens included
};

struct ImageSection {
  int64_t min_pixels = 3136;
  int64_t max_pixels = 401408;
  ResizeBackend backend = ResizeBackend::kPil;
};

struct RolloutSection {
  int64_t num_generations = 4;
  int64_t max_completion_length = 256;
  double temperature = 1.0;
  double top_p = 1.0;
  int64_t top_k = 0;
  double min_p = 0.0;
  bool ban_vision_tokens = true;
  bool renormalise = false;
};

struct FocalSection {
  double alpha = 1.0;
  double gamma = 2.0;
  double f = 1.0;
  FocalF f_mode = FocalF::kFixed;
  std::optional<double> f_cap;
  FocalP p = FocalP::kAnswerSoftmax;
  FocalWrong wrong = FocalWrong::kZero;
  FocalWhere where = FocalWhere::kReward;
};

struct RewardSection {
  double format_weight = 1.0;
  double answer_weight = 1.0;
  AnswerReward answer = AnswerReward::kFocal;
  double missed_cost = 0;       ///< taken from the answer reward of what is not right, image of a defect
  double false_alarm_cost = 0;  ///< the same, normal image
  FocalSection focal;
};

struct GrpoSection {
  ScaleRewards scale_rewards = ScaleRewards::kGroup;
  StdKind std = StdKind::kPopulation;
  double advantage_eps = 1e-4;
  PolicyLoss policy_loss = PolicyLoss::kLogp;
  LossType loss_type = LossType::kGrpo;
  double beta = 0.04;
  KlReference kl_anchor = KlReference::kBase;
  std::optional<double> epsilon = 0.2;  ///< null: no clipping
  std::optional<double> epsilon_high;   ///< null: epsilon
  int64_t num_iterations = 1;
  ZeroVariance zero_variance = ZeroVariance::kKeep;
  int64_t max_resamples = 3;
  bool mask_truncated_completions = false;
};

struct OptimSection {
  double learning_rate = 1e-6;
  Schedule lr_scheduler_type = Schedule::kLinear;
  double warmup_ratio = 0.0;
  double weight_decay = 0.0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;  ///< 0 = off
};

struct TrainSection {
  double num_train_epochs = 1;
  int64_t max_steps = -1;
  int64_t per_device_train_batch_size = 1;
  int64_t gradient_accumulation_steps = 2;
  int64_t logging_steps = 1;
  int64_t save_steps = 100;
  std::optional<int64_t> save_total_limit;
  int64_t eval_steps = 0;
  std::string metric_for_best_model = "balanced_accuracy";
  Switch shared_prefix = Switch::kAuto;  ///< auto | off
  int64_t token_budget = 0;              ///< language-model rows of one training pass; 0 = auto
};

struct SftSection {
  std::map<std::string, std::vector<std::string>> responses;  ///< keys defect, normal
};

struct EvalSection {
  int64_t batch_size = 0;  ///< 0 = auto
  int64_t max_new_tokens = 256;
  double temperature = 0.0;
  bool invalid_extra_class = false;
};

struct LogSection {
  bool completions = true;
  bool token_ids = false;
  bool tensorboard = true;
};

struct DistributedSection {
  std::string devices = "auto";  ///< auto | cpu | N | list such as 0,1,3
  double timeout_s = 600;
  int64_t max_restarts = 0;  ///< of all ranks by the launching process; a torchrun or Slurm world restarts itself
};

struct GuardSection {
  std::optional<double> max_kl;
  std::optional<double> max_grad_norm;
  std::optional<double> zscore = 8;
  GuardAction on_trip = GuardAction::kSkip;
  int64_t stop_after = 5;
};

/// Every key a user can set, with its default: the contract of `lriad-train --config`. Plain data, checked once when
/// read. Sources: the paper's section IV for the published run, transformers, PEFT and TRL for names.
struct Config {
  Stage stage = Stage::kGrpo;
  std::string output_dir;
  uint64_t seed = 42;
  std::optional<std::string> preset;  ///< fills grpo, reward and sampler keys that nobody set
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

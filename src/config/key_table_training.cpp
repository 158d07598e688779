#include "key_table_training.h"

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr int64_t kMany = 1'000'000'000;
constexpr double kHuge = 1e12;

/// The metrics that metric_by_name() of eval/metrics.h knows; eval lies above config, so they are listed here again,
/// without invalid_rate, of which less is better.
const std::vector<std::string> kMetrics = {"accuracy",    "f1_macro",          "f1_defect",
                                           "f1_normal",   "precision_defect",  "recall",
                                           "specificity", "balanced_accuracy", "auroc"};

void add_optim(std::vector<Key>& keys, OptimSection& o) {
  const std::vector<std::pair<std::string, Schedule>> schedules = {
      {"linear", Schedule::kLinear}, {"cosine", Schedule::kCosine}, {"constant", Schedule::kConstant}};
  const auto add = [&](const char* name, FieldPointer field, const char* comment) {
    keys.push_back({concat("optim.", name), comment, std::move(field)});
  };
  add("learning_rate", real_field(o.learning_rate, {0, 1e3}), "highest rate, per optimizer step");
  add("lr_scheduler_type", choice_field(o.lr_scheduler_type, schedules), "linear | cosine | constant, as transformers");
  add("warmup_ratio", real_field(o.warmup_ratio, {0, 1}), "share of the steps");
  add("weight_decay", real_field(o.weight_decay, {0, 1e3}), "AdamW's");
  add("adam_beta1", real_field(o.adam_beta1, {0, 1, Ends::kWithoutHigh}), "decay of the mean of the gradient");
  add("adam_beta2", real_field(o.adam_beta2, {0, 1, Ends::kWithoutHigh}), "decay of the mean of its square");
  add("adam_epsilon", real_field(o.adam_epsilon, {0, 1e6, Ends::kWithoutLow}), "added to the root of that");
  add("max_grad_norm", real_field(o.max_grad_norm, {0, kHuge}), "L2 norm to which gradients are cut; 0 = off");
}

void add_train(std::vector<Key>& keys, TrainSection& t) {
  const auto add = [&](const char* name, FieldPointer field, const char* comment) {
    keys.push_back({concat("train.", name), comment, std::move(field)});
  };
  add("num_train_epochs", real_field(t.num_train_epochs, {0, 1e6, Ends::kWithoutLow}), "passes over the data");
  add("max_steps", integer_field(t.max_steps, {-1, kMany}), "optimizer steps; > 0 overrides num_train_epochs");
  add("per_device_train_batch_size", integer_field(t.per_device_train_batch_size, {1, 1 << 20}),
      "prompts per process and pass, not completions");
  add("gradient_accumulation_steps", integer_field(t.gradient_accumulation_steps, {1, 1 << 20}),
      "passes per optimizer step");
  add("logging_steps", integer_field(t.logging_steps, {1, kMany}), "optimizer steps between lines of the log");
  add("save_steps", integer_field(t.save_steps, {0, kMany}), "optimizer steps between checkpoints; 0 = none");
  add("save_total_limit", integer_field(t.save_total_limit, {1, kMany}), "checkpoints kept; null = all");
  add("eval_steps", integer_field(t.eval_steps, {0, kMany}), "optimizer steps between evaluations; 0 = none");
  add("metric_for_best_model", word_field(t.metric_for_best_model, kMetrics),
      "figure of eval_data that marks the best checkpoint");
  add("shared_prefix", choice_field<Switch>(t.shared_prefix, {{"auto", Switch::kAuto}, {"off", Switch::kOff}}),
      "auto | off: pass the prompt once per group; with lora_dropout its rows meet one mask instead of one a "
      "completion");
  add("token_budget", integer_field(t.token_budget, {0, kMany, "auto"}),
      "rows of one training pass of the decoder, or auto");
}

void add_eval(std::vector<Key>& keys, EvalSection& e) {
  const auto add = [&](const char* name, FieldPointer field, const char* comment) {
    keys.push_back({concat("eval.", name), comment, std::move(field)});
  };
  add("batch_size", integer_field(e.batch_size, {0, 4096, "auto"}), "images at once, or auto");
  add("max_new_tokens", integer_field(e.max_new_tokens, {1, 1 << 20}), "tokens of the longest answer");
  add("temperature", real_field(e.temperature, {0, 100}), "0 takes the likeliest token, above 0 samples");
  add("invalid_extra_class", flag_field(e.invalid_extra_class),
      "an invalid answer is a class of its own; false: it counts as wrong");
}

void add_watch(std::vector<Key>& keys, Config& c) {
  const std::vector<std::pair<std::string, GuardAction>> actions = {{"skip", GuardAction::kSkip},
                                                                    {"stop", GuardAction::kStop}};
  const std::vector<std::pair<std::string, AllReduce>> sums = {{"rank_order", AllReduce::kRankOrder},
                                                               {"ring", AllReduce::kRing}};
  const auto add = [&](const char* name, FieldPointer field, const char* comment) {
    keys.push_back({name, comment, std::move(field)});
  };
  add("log.completions", flag_field(c.log.completions), "write completions.jsonl");
  add("log.token_ids", flag_field(c.log.token_ids), "with ids and log-probabilities of the tokens");
  add("log.tensorboard", flag_field(c.log.tensorboard), "write an event file");
  add("distributed.devices", devices_field(c.distributed.devices), "auto | cpu | N processes | GPUs such as 0,1,3");
  add("distributed.timeout_s", real_field(c.distributed.timeout_s, {0, 1e6, Ends::kWithoutLow}),
      "seconds that processes wait for one another");
  add("distributed.memory_fraction", real_field(c.distributed.memory_fraction, {0, 1, Ends::kWithoutLow}),
      "share of a GPU's memory that a process may use");
  add("distributed.all_reduce", choice_field(c.distributed.all_reduce, sums),
      "rank_order: the same bits on any layout of GPUs | ring: NCCL's, faster over slow links");
  add("distributed.max_restarts", integer_field(c.distributed.max_restarts, {0, 1000}),
      "times that all ranks start again from the last checkpoint when one is lost");
  add("guard.max_kl", real_field(c.guard.max_kl, {0, kHuge}), "nats per token; a step above it trips; null = off");
  add("guard.max_grad_norm", real_field(c.guard.max_grad_norm, {0, kHuge}),
      "L2 norm before cutting; a step above it trips; null = off");
  add("guard.zscore", real_field(c.guard.zscore, {0, kHuge, Ends::kWithoutLow}),
      "standard deviations of KL or gradient norm above the recent mean; null = off");
  add("guard.on_trip", choice_field(c.guard.on_trip, actions), "skip the step | stop the run");
  add("guard.stop_after", integer_field(c.guard.stop_after, {1, kMany}),
      "trips in the last 100 steps that stop the run");
}

}  // namespace

void add_training_keys(std::vector<Key>& keys, Config& config) {
  add_optim(keys, config.optim);
  add_train(keys, config.train);
  add_eval(keys, config.eval);
  add_watch(keys, config);
}

}  // namespace lriad

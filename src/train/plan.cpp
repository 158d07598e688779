#include "lriad/train/plan.h"

#include <ATen/DeviceAccelerator.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "lriad/core/error.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

constexpr int64_t kMostRows = 8192;
constexpr int64_t kPromptBlock = 512;         // query rows of an attention block (model/attention.cpp)
constexpr int64_t kLogitsAtOnce = 1ll << 26;  // numbers in a chunk of the head (grpo/head_logprobs.h)
constexpr int64_t kLibraries = 200ll << 20;   // resident before anything is loaded

int64_t total(const MemoryPlan::Items& items) {
  return std::accumulate(items.begin(), items.end(), int64_t{0},
                         [](int64_t sum, const auto& one) { return sum + one.second; });
}

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%9.3f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

/// Sizes that the formulas share. `b`: bytes of a number of the model, `f`: of the sums' (float32, float64).
class Sizes {
 public:
  explicit Sizes(const PlanInput& in)
      : config(in.config),
        text(in.model.text),
        vision(in.model.vision),
        prompt(in.prompt_tokens),
        patches(in.image_patches),
        grpo(config.stage == Stage::kGrpo),
        all(config.trainable == Trainable::kAll),
        b(config.model.dtype == Dtype::kBfloat16  ? 2
          : config.model.dtype == Dtype::kFloat32 ? 4
                                                  : 8),
        f(config.model.dtype == Dtype::kFloat64 ? 8 : 4),
        prompts(config.train.per_device_train_batch_size * config.train.gradient_accumulation_steps),
        generations(grpo ? config.rollout.num_generations : 1),
        tokens(config.rollout.max_completion_length),
        kv(text.num_key_value_heads * text.head_dim) {
    for (const auto& [name, shape] : expected_tensors(in.model)) count_parameter(name, shape);
  }

  int64_t group_rows(bool shared) const {
    const int64_t own = std::max<int64_t>(0, tokens - 1);
    return shared ? prompt + generations * own : generations * (prompt + own);
  }
  /// Inputs of norms, q k v and result of attention, LoRA's input, gate and up; statistics and LoRA's middle beside
  /// them.
  int64_t saved_per_row_and_layer() const {
    const int64_t lora = all ? 0 : 2 * config.lora.r * f;
    const int64_t frozen = b * (5 * text.hidden_size + 2 * kv + 2 * text.intermediate_size);
    // A trained linear layer keeps its input too: silu(gate) * up, and the second norm's result.
    const int64_t trained = all ? b * (text.intermediate_size + text.hidden_size) : 0;
    return frozen + trained + lora + f * (2 + text.num_attention_heads);
  }
  /// The largest layer's temporaries of a pass without gradient: gate, up, their product, x twice.
  int64_t forward_temporaries(int64_t rows) const {
    return rows * b * (3 * text.intermediate_size + 2 * text.hidden_size);
  }
  /// Scores, weights and their gradient of one attention block.
  int64_t attention_temporaries() const {
    const int64_t in_prompt = std::min(prompt, kPromptBlock) * prompt;
    const int64_t in_groups = generations * tokens * (prompt + tokens);
    return 3 * f * text.num_attention_heads * std::max(in_prompt, grpo ? in_groups : int64_t{0});
  }
  /// Logits of a chunk and what is worked out from them.
  int64_t head_temporaries(int64_t rows) const {
    return std::min(std::max<int64_t>(1, kLogitsAtOnce / text.vocab_size), rows) * text.vocab_size * (b + 3 * f);
  }

  const Config& config;
  const TextConfig& text;
  const VisionConfig& vision;
  int64_t prompt, patches;
  bool grpo, all;
  int64_t b, f, prompts, generations, tokens, kv;
  int64_t parameters = 0, lora_parameters = 0;

 private:
  void count_parameter(const std::string& name, const std::vector<int64_t>& shape) {
    parameters += std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    for (const std::string& target : config.lora.target_modules) {
      if (name.starts_with("model.language_model.") && name.ends_with("." + target + ".weight")) {
        lora_parameters += config.lora.r * (shape[0] + shape[1]);
      }
    }
  }
};

MemoryPlan::Items permanent(const Sizes& s, int64_t num_ranks) {
  const int64_t trained = s.all ? s.parameters : s.lora_parameters;
  // Master value, gradient and two moments in the sums' type; half-precision parameters have a gradient of their own.
  const int64_t optimizer =
      trained * 4 * s.f + (s.all && s.b == 2 ? trained * s.b : 0) - (s.all && s.b != 2 ? trained * s.b : 0);
  return {{"libraries", kLibraries},
          {"weights", s.parameters * s.b},
          {s.all ? "gradients and Adam" : "LoRA and Adam", optimizer},
          {"vision cache", s.all ? 0 : s.config.model.vision_cache.memory_mb << 20},
          {"communication", num_ranks > 1 ? trained * s.f * num_ranks : 0}};
}

MemoryPlan::Phase vision_phase(const Sizes& s) {
  const int64_t width = s.vision.embed_dim, wide = s.vision.mlp_ratio * width;
  return {"vision",
          {{"patches", s.patches * s.vision.patch_dim() * (4 + s.b)},
           {"one block", s.patches * s.b * (6 * width + 3 * wide) + s.patches * s.f * 2 * width}}};
}

MemoryPlan::Phase rollout_phase(const Sizes& s) {
  const int64_t cells = s.prompts * s.generations, per_token = s.text.num_hidden_layers * 2 * s.kv * s.b;
  // Logits in the model's type and as float, scores, and in float64 two sums, the softmax and the running sum.
  const int64_t sampler = cells * s.text.vocab_size * (s.b + 2 * s.f + 4 * 8);
  return {"rollout",
          {{"keys and values", per_token * (s.prompts * s.prompt + cells * s.tokens)},
           {"prefill", s.forward_temporaries(s.prompts * s.prompt) + s.attention_temporaries()},
           {"sampler", sampler}}};
}

MemoryPlan::Phase reference_phase(const Sizes& s, int64_t rows) {
  return {"reference",
          {{"temporaries", s.forward_temporaries(rows) + s.attention_temporaries()},
           {"head", s.head_temporaries(s.prompts * s.generations * s.tokens)}}};
}

MemoryPlan::Phase training_phase(const Sizes& s, int64_t rows, bool checkpoint) {
  const int64_t layers = s.text.num_hidden_layers, per_layer = s.saved_per_row_and_layer();
  const int64_t saved = checkpoint ? rows * (layers * s.text.hidden_size * s.b + per_layer) : rows * layers * per_layer;
  // Gradients of gate, up and their product while the last ones are made.
  const int64_t backward = rows * s.b * (3 * s.text.intermediate_size + 2 * s.text.hidden_size);
  return {"policy and backward",
          {{"saved activations", saved},
           {"temporaries", backward + s.attention_temporaries()},
           {"head", s.head_temporaries(s.prompts * s.generations * s.tokens)}}};
}

MemoryPlan with(const Sizes& s, const PlanInput& in, int64_t rows, bool checkpoint) {
  MemoryPlan plan;
  plan.always = permanent(s, in.num_ranks);
  plan.memory_bytes = in.memory_bytes;
  plan.rows_per_pass = rows;
  plan.checkpoint_layers = checkpoint;
  plan.bytes_per_row = s.text.num_hidden_layers * s.saved_per_row_and_layer();
  plan.rows_shared = s.prompts * s.group_rows(/*shared=*/true);
  plan.rows_unshared = s.prompts * s.group_rows(/*shared=*/false);
  plan.phases.push_back(vision_phase(s));
  if (s.grpo) plan.phases.push_back(rollout_phase(s));
  if (s.grpo && s.config.grpo.beta != 0 && s.config.grpo.kl_anchor != KlAnchor::kOld)
    plan.phases.push_back(reference_phase(s, rows));
  plan.phases.push_back(training_phase(s, rows, checkpoint));
  return plan;
}

}  // namespace

int64_t MemoryPlan::Phase::bytes() const { return total(items); }

int64_t MemoryPlan::peak() const {
  int64_t most = 0;
  for (const Phase& phase : phases) most = std::max(most, phase.bytes());
  return total(always) + most;
}

MemoryPlan plan_memory(const PlanInput& input) {
  const Sizes s(input);
  const int64_t group = s.group_rows(input.config.train.shared_prefix != Switch::kOff);
  const int64_t wanted = input.config.train.token_budget > 0 ? input.config.train.token_budget : kMostRows;
  const int64_t most = std::max(group, std::min(wanted, s.prompts * group) / group * group);
  const Switch choice = input.config.model.gradient_checkpointing;
  for (const bool checkpoint : {false, true}) {
    if ((choice == Switch::kOff && checkpoint) || (choice == Switch::kOn && !checkpoint)) continue;
    for (int64_t rows = most; rows >= group; rows -= group) {
      const MemoryPlan plan = with(s, input, rows, checkpoint);
      if (plan.fits()) return plan;
    }
  }
  return with(s, input, group, choice != Switch::kOff);
}

std::optional<std::string> smallest_change(const PlanInput& input) {
  const auto fits_with = [&](const std::string& what, const auto& change) -> std::optional<std::string> {
    PlanInput changed = input;
    change(changed);
    const MemoryPlan plan = plan_memory(changed);
    if (!plan.fits()) return std::nullopt;
    return concat(what, " (peak ", gigabytes(plan.peak()), ")");
  };
  const auto halve = [](int64_t& value) { value = std::max<int64_t>(1, value / 2); };
  const Config& c = input.config;
  std::optional<std::string> found;
  const auto consider = [&](const std::string& what, const auto& change) {
    if (!found) found = fits_with(what, change);
  };
  consider("model.vision_cache.memory_mb: 0", [](PlanInput& in) { in.config.model.vision_cache.memory_mb = 0; });
  consider("model.gradient_checkpointing: auto",
           [](PlanInput& in) { in.config.model.gradient_checkpointing = Switch::kAuto; });
  consider(concat("train.gradient_accumulation_steps: ", std::max<int64_t>(1, c.train.gradient_accumulation_steps / 2)),
           [&](PlanInput& in) { halve(in.config.train.gradient_accumulation_steps); });
  consider(concat("rollout.max_completion_length: ", std::max<int64_t>(1, c.rollout.max_completion_length / 2)),
           [&](PlanInput& in) { halve(in.config.rollout.max_completion_length); });
  consider(concat("rollout.num_generations: ", std::max<int64_t>(2, c.rollout.num_generations / 2)),
           [&](PlanInput& in) {
             in.config.rollout.num_generations = std::max<int64_t>(2, in.config.rollout.num_generations / 2);
           });
  consider("model.dtype: bfloat16", [](PlanInput& in) { in.config.model.dtype = Dtype::kBfloat16; });
  return found;
}

std::string MemoryPlan::table() const {
  std::string text = "in every phase\n";
  const auto line = [&](const std::string& name, int64_t bytes) {
    if (bytes != 0)
      text += concat("  ", name, std::string(name.size() < 24 ? 24 - name.size() : 1, ' '), gigabytes(bytes), '\n');
  };
  for (const auto& [name, bytes] : always) line(name, bytes);
  for (const Phase& phase : phases) {
    text += phase.name + '\n';
    for (const auto& [name, bytes] : phase.items) line(name, bytes);
  }
  text += concat("peak                      ", gigabytes(peak()), " of ", gigabytes(memory_bytes), '\n');
  text += concat("rows of a training pass   ", rows_per_pass, "; of a step ", rows_shared, " (", rows_unshared,
                 " without shared prompts)\n");
  text += concat("saved for backward        ", bytes_per_row, " bytes a row",
                 checkpoint_layers ? "; layers are computed again (gradient_checkpointing)" : "", '\n');
  return text;
}

int64_t free_memory(const at::Device& device) {
  if (device.is_cuda()) return static_cast<int64_t>(at::accelerator::getMemoryInfo(device.index()).first);
  std::ifstream info("/proc/meminfo");
  std::string name;
  int64_t kilobytes = 0;
  for (std::string rest; info >> name >> kilobytes && std::getline(info, rest);) {
    if (name == "MemAvailable:") return kilobytes << 10;
  }
  fail("train", "/proc/meminfo does not tell the memory available");
}

}  // namespace lriad

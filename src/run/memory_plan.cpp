#include "lriad/run/memory_plan.h"

#include <ATen/DeviceAccelerator.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "lriad/core/error.h"
#include "lriad/eval/evaluator.h"
#include "lriad/grpo/token_logprobs.h"
#include "lriad/model/feature_cache.h"
#include "plan_sizes.h"

namespace lriad {
namespace {

constexpr int64_t kMostRows = 8192;
constexpr int64_t kFewestLogits = 1 << 22;
/// Context, kernels as they are loaded, workspaces of cuBLAS and NCCL. Estimated, not measured.
constexpr int64_t kCudaContext = 1200ll << 20;
constexpr int64_t kLibraries = 200ll << 20;  // bytes in use before anything is loaded

int64_t total(const MemoryPlan::Items& items) {
  return std::accumulate(items.begin(), items.end(), int64_t{0},
                         [](int64_t sum, const auto& one) { return sum + one.second; });
}

MemoryPlan::Items permanent(const Sizes& s, const PlanInput& in) {
  const int64_t trained = s.all ? s.parameters : s.lora_parameters;
  // Master values, gradients and two moments with `f` bytes each. Half-precision parameters have gradients of their
  // own; others are views of the master values, which must not be counted twice.
  const int64_t optimizer =
      trained * 4 * s.f + (s.all && s.b == 2 ? trained * s.b : 0) - (s.all && s.b != 2 ? trained * s.b : 0);
  // Decoded images in float32: of this step, of the queue, and of the threads that fill it (train/batches.cpp).
  const int64_t ahead = (3 * s.prompts + 8) * s.images * s.patches * s.vision.patch_dim() * 4;
  const int64_t image = s.features(s.patches);
  const int64_t room = s.config.model.vision_cache.memory_mb << 20;
  const int64_t cache = in.num_images > 0 ? std::min(room, in.num_images * image) : room;
  return {{in.on_cpu ? "libraries" : "CUDA context", in.on_cpu ? kLibraries : kCudaContext},
          {"weights", s.parameters * s.b},
          {s.all ? "gradients and Adam" : "LoRA and Adam", optimizer},
          {"vision cache", s.tower ? 0 : cache},
          {"images ahead", in.on_cpu ? ahead : 0},
          {"features", s.tower && !s.grpo ? 0 : s.prompts * s.images * image},
          {"communication", in.num_ranks > 1 ? trained * s.f * in.num_ranks : 0}};
}

/// Temporaries of the vision tower, the larger of two: the patch embedding with its input in the model's dtype, and a
/// block with three tensors of its width, three of the MLP's width, cos and sin.
int64_t tower_temporaries(const Sizes& s, int64_t patches) {
  const int64_t width = s.vision.embed_dim, columns = s.b == 4 ? 1 : 2;
  const int64_t embedding = patches * s.b * (columns * s.vision.patch_dim() + width);
  const int64_t block =
      patches * s.b * (3 * width + 3 * s.vision.intermediate_size) + patches * s.f * 2 * (width / s.vision.num_heads);
  // Every patch takes four entries of the position table and multiplies them by their weights.
  const int64_t table = s.vision.num_position_embeddings != 0 ? patches * width * 4 * (s.b + s.f) : 0;
  return std::max({embedding, block, table});
}

/// Patches that go through a frozen tower at once (FeatureCache::features()).
int64_t patches_at_once(const Sizes& s, const PlanInput& in) {
  const VisionCacheSection& cache = in.config.model.vision_cache;
  if (in.on_cpu || cache.memory_mb > 0 || (cache.folder && cache.disk_mb > 0)) return s.patches;
  return std::min(s.prompts * s.images * s.patches, std::max(s.patches, kPatchesAtOnce));
}

/// Generating `rows` completions of at most `tokens` tokens for each of `prompts` prompts.
MemoryPlan::Items generation_items(const Sizes& s, int64_t prompts, int64_t rows, int64_t tokens) {
  const int64_t sequences = prompts * rows, per_token = s.text.num_hidden_layers * 2 * s.kv * s.b;
  // Logits, their copy in float32 and that divided by the temperature; then softmax and cumulative sum in float64.
  const int64_t sampler = sequences * s.text.vocab_size * ((s.b == 2 ? 6 : s.b) + s.f + 16 + (s.f == 4 ? 8 : 0));
  const int64_t attention = 3 * s.f * sequences * s.text.num_attention_heads * (s.prompt + tokens);
  const int64_t prefill = s.forward_temporaries(prompts * s.prompt, s.prompt_scores());
  return {{"keys and values", per_token * (prompts * s.prompt + sequences * tokens)},
          {prefill > sampler + attention ? "prefill" : "sampler", std::max(prefill, sampler + attention)}};
}

/// A batch of an evaluation: its images go through the vision tower together, then its answers are generated.
MemoryPlan::Phase evaluation_phase(const Sizes& s) {
  const EvalSection& section = s.config.eval;
  const int64_t batch = prompts_at_once(section.batch_size, s.prompt, section.max_new_tokens);
  MemoryPlan::Phase phase{"evaluation", generation_items(s, batch, 1, section.max_new_tokens)};
  phase.items.emplace_back("features of a batch", s.features(batch * s.images * s.patches));
  const int64_t tower = tower_temporaries(s, batch * s.patches) + batch * s.patches * s.vision.patch_dim() * s.b;
  if (tower > phase.bytes()) phase.items = {{"a batch in the tower", tower}};
  return phase;
}

MemoryPlan::Phase reference_phase(const Sizes& s, const PassSize& pass) {
  const int64_t head = s.head_temporaries(pass) + pass.tokens * s.text.hidden_size * s.b + s.rotary(pass.rows);
  return {"reference", {{"temporaries", std::max(s.forward_temporaries(pass.rows, s.group_scores()), head)}}};
}

/// What the policy's forward pass keeps for the backward pass: the activations of all layers, or only the layers'
/// inputs with gradient checkpointing; cos and sin; the hidden states that predict tokens, and their gradient.
MemoryPlan::Items kept_by_policy(const Sizes& s, const PassSize& pass, bool checkpoint) {
  const int64_t layers = s.text.num_hidden_layers;
  const int64_t per_row = checkpoint ? (layers + 1) * s.text.hidden_size * s.b : layers * s.saved_per_row_and_layer();
  return {{"saved activations", pass.rows * per_row + s.rotary(pass.rows)},
          {"tower's activations", pass.images * s.patches * s.tower_saved_per_patch()},
          {"hidden rows", 2 * pass.tokens * s.text.hidden_size * s.b}};
}

MemoryPlan::Phase policy_phase(const Sizes& s, const PassSize& pass, bool checkpoint) {
  MemoryPlan::Phase phase{"policy", kept_by_policy(s, pass, checkpoint)};
  const int64_t head_gradient = s.all ? s.text.vocab_size * s.text.hidden_size * s.b : 0;
  phase.items.emplace_back("head", s.head_temporaries(pass) + head_gradient);
  return phase;
}

MemoryPlan::Phase backward_phase(const Sizes& s, const PassSize& pass, bool checkpoint) {
  MemoryPlan::Phase phase{"backward", kept_by_policy(s, pass, checkpoint)};
  if (checkpoint) phase.items.emplace_back("layer recomputed", pass.rows * s.saved_per_row_and_layer());
  phase.items.emplace_back("temporaries", s.backward_temporaries(pass.rows));
  return phase;
}

MemoryPlan with(const Sizes& s, const PlanInput& in, int64_t rows, int64_t logits, bool checkpoint) {
  MemoryPlan plan;
  plan.always = permanent(s, in);
  plan.memory_bytes = in.memory_bytes;
  plan.rows_per_pass = rows;
  plan.logits_at_once = logits;
  plan.gradient_checkpointing = checkpoint;
  plan.bytes_per_row = s.text.num_hidden_layers * s.saved_per_row_and_layer();
  plan.rows_shared = s.prompts * s.group_rows(/*shared=*/true);
  plan.rows_unshared = s.prompts * s.group_rows(/*shared=*/false);
  const int64_t group = s.group_rows(in.config.train.shared_prefix != Switch::kOff);
  const PassSize pass{rows, rows / group * s.generations * s.tokens, logits, rows / group * s.images};
  const int64_t seen = s.tower ? pass.images * s.patches : patches_at_once(s, in);
  plan.phases.push_back({"vision", {{"images at once", tower_temporaries(s, seen)}}});
  if (s.grpo) plan.phases.push_back({"rollout", generation_items(s, s.prompts, s.generations, s.tokens)});
  if (s.grpo && s.config.grpo.beta != 0 && s.config.grpo.kl_anchor != KlReference::kOld)
    plan.phases.push_back(reference_phase(s, pass));
  plan.phases.push_back(policy_phase(s, pass, checkpoint));
  plan.phases.push_back(backward_phase(s, pass, checkpoint));
  if (in.config.train.eval_steps > 0) plan.phases.push_back(evaluation_phase(s));
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
      for (int64_t logits = kLogitsAtOnce; logits >= kFewestLogits; logits /= 2) {
        const MemoryPlan plan = with(s, input, rows, logits, checkpoint);
        if (plan.fits()) return plan;
      }
    }
  }
  return with(s, input, group, kFewestLogits, choice != Switch::kOff);
}

int64_t free_memory(const at::Device& device, double gpu_fraction) {
  if (device.is_cuda()) {
    const auto [free, total] = at::accelerator::getMemoryInfo(device.index());
    return static_cast<int64_t>(std::min(static_cast<double>(free), gpu_fraction * static_cast<double>(total)));
  }
  std::ifstream info("/proc/meminfo");
  std::string name;
  int64_t kilobytes = 0;
  for (std::string rest; info >> name >> kilobytes && std::getline(info, rest);) {
    if (name == "MemAvailable:") return kilobytes << 10;
  }
  fail("run", "/proc/meminfo does not tell the memory available");
}

}  // namespace lriad

// Texts about a memory plan for the user.
#include <cstdio>

#include "lriad/core/error.h"
#include "lriad/run/memory_plan.h"

namespace lriad {
namespace {

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%9.3f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace

std::optional<std::string> smallest_change(const PlanInput& input) {
  std::optional<std::string> found;
  const auto consider = [&](const std::string& what, const auto& change) {
    if (found) return;
    PlanInput changed = input;
    change(changed.config);
    const MemoryPlan plan = plan_memory(changed);
    if (plan.fits()) found = concat(what, " (peak", gigabytes(plan.peak()), ")");
  };
  // Considers lower values of a key, the largest first.
  const auto lower = [&](const char* key, int64_t least, const auto& value_of) {
    Config config = input.config;
    for (int64_t value = value_of(config) - 1; value >= least && !found; --value) {
      consider(concat(key, ": ", value), [&](Config& changed) { value_of(changed) = value; });
    }
  };
  consider("model.vision_cache.memory_mb: 0", [](Config& c) { c.model.vision_cache.memory_mb = 0; });
  consider("model.gradient_checkpointing: auto", [](Config& c) { c.model.gradient_checkpointing = Switch::kAuto; });
  lower("train.gradient_accumulation_steps", 1,
        [](Config& c) -> int64_t& { return c.train.gradient_accumulation_steps; });
  lower("rollout.max_completion_length", 16, [](Config& c) -> int64_t& { return c.rollout.max_completion_length; });
  lower("rollout.num_generations", 2, [](Config& c) -> int64_t& { return c.rollout.num_generations; });
  consider("model.dtype: bfloat16", [](Config& c) { c.model.dtype = Dtype::kBfloat16; });
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
  text += concat("logits at once            ", logits_at_once, '\n');
  text += concat("saved for backward        ", bytes_per_row, " bytes a row",
                 gradient_checkpointing ? "; layers are recomputed (gradient_checkpointing)" : "", '\n');
  return text;
}

}  // namespace lriad

#include "passes.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <numeric>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/dist/gpus.h"

namespace lriad {
namespace {

int64_t rows_of(const MicroBatch& pass, Prefix prefix) {
  return std::accumulate(pass.begin(), pass.end(), int64_t{0},
                         [&](int64_t rows, const Group* group) { return rows + packed_rows(*group, prefix); });
}

}  // namespace

std::vector<MicroBatch> divide_into_passes(const std::vector<Group*>& groups, Prefix prefix, int64_t budget) {
  std::vector<MicroBatch> passes;
  int64_t rows = 0;
  for (Group* group : groups) {
    const int64_t own = packed_rows(*group, prefix);
    if (passes.empty() || rows + own > budget) {
      passes.emplace_back();
      rows = 0;
    }
    passes.back().push_back(group);
    rows += own;
  }
  return passes;
}

void learn_in_passes(const StepPasses& step, int64_t number, RunContext& context, FlatParameters& parameters) {
  const std::vector<MicroBatch> passes = step.divide();
  try {
    return step.learn(passes);
  } catch (const c10::Error& error) {
    if (!is_out_of_memory(error)) throw;
    int64_t widest = 0;
    for (const MicroBatch& pass : passes) widest = std::max(widest, rows_of(pass, step.prefix));
    MemoryPlan& memory = context.memory;
    memory.rows_per_pass = widest / 2;  // a group that is larger still passes, alone
    memory.logits_at_once /= 2;
    log_warning(concat("[train] step ", number, ": out of memory; it is computed again with passes of at most ",
                       memory.rows_per_pass, " rows, and so are all steps to come: ", error.what_without_backtrace()));
  }
  if (context.device.is_cuda()) at::accelerator::emptyCache();
  parameters.zero_gradients();
  step.learn(step.divide());
}

}  // namespace lriad

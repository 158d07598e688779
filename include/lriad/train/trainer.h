#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "lriad/config/load_config.h"
#include "lriad/dist/communicator.h"

namespace lriad {

struct TrainOptions {
  std::string resume = "auto";  ///< auto | never | folder of a checkpoint
  bool dry_run = false;         ///< everything up to step 1, nothing written
};

/// The memory plan of a run on `device` for `num_ranks` processes, no weights read: prints it on standard output.
/// Returns the exit code: 0 it fits, 2 it does not (the smallest change that would make it fit is printed too).
int print_plan(const LoadedConfig& loaded, const at::Device& device, int64_t num_ranks);

/// One rank of a run of lriad-train, stage grpo or sft: steps, logs, evaluation, checkpoints, resuming.
class Trainer {
 public:
  /// Reads and checks everything and loads the model; the run folder is first written by run(). Throws Error for
  /// whatever the user can fix. The ranks of `communicator` must agree on config, data, model and version.
  Trainer(const LoadedConfig& loaded, const TrainOptions& options, Communicator& communicator,
          const at::Device& device);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the end, from the checkpoint that `resume` names if there is one. Returns the exit code: 0 done, 3
  /// stopped by the health guard, 128 + n stopped by signal n after saving.
  int run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lriad/config/load_config.h"
#include "lriad/dist/communicator.h"

namespace lriad {

/// Command-line options of lriad-train that are not part of the config.
struct TrainOptions {
  std::string resume = "auto";  ///< auto | never | folder of a checkpoint
  bool dry_run = false;         ///< prepare everything, but train no step and write nothing
};

/// Prints the memory plan of a run on `device` for `num_ranks` processes on standard output, without reading weights;
/// with `gpu_bytes`, of a run on GPUs with that much memory each, which need not be here. Returns 0 if it fits; else
/// throws Error with the smallest change of the config that would make it fit.
int print_plan(const LoadedConfig& loaded, const at::Device& device, int64_t num_ranks,
               std::optional<int64_t> gpu_bytes = std::nullopt);

/// One rank of a training run, stage grpo or sft: steps, logs, evaluation, checkpoints, resuming.
class Trainer {
 public:
  /// Reads and checks all inputs and loads the model; only run() writes to the run folder. Throws Error for what the
  /// user can mend, also if the ranks of `communicator` differ in config, data, model or program version.
  Trainer(const LoadedConfig& loaded, const TrainOptions& options, Communicator& communicator,
          const at::Device& device);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the end, beginning at the checkpoint that `resume` selects. Returns the exit code: 0 if done, 3 if the
  /// health guard stopped it, 128 + n if signal n stopped it, after saving.
  int run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lriad

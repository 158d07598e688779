#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <string>

#include "lriad/config/load_config.h"

namespace lriad {

/// The run folder of a refused batch: `batch` is <run>/guard/step-<n> or a rank's file in it. Throws Error if it does
/// not exist.
std::filesystem::path run_of_batch(const std::filesystem::path& batch);

/// Computes a refused batch again, forward and backward, and prints loss, KL and gradient norm beside the recorded
/// ones. For each completion it prints loss, log-probabilities, KL and its own gradient norm, and marks what is not
/// finite or far above the others. `batch` is the folder of a step or one rank's file. The weights are those of
/// `checkpoint` if given, else those in the batch; with trainable: all, which a batch does not hold, those of the run's
/// newest checkpoint before it (with a warning if steps lie between). Returns 3 if the guard refuses the batch again,
/// else 0. Throws Error for files that cannot be used.
int replay_batch(const LoadedConfig& loaded, const std::filesystem::path& batch,
                 const std::optional<std::filesystem::path>& checkpoint, const at::Device& device);

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <string>

#include "lriad/config/load_config.h"

namespace lriad {

/// The run folder that a batch kept by the health guard lies in: <run>/guard/step-<n>, or a rank's file in there.
/// Throws Error if it does not exist.
std::filesystem::path run_of_batch(const std::filesystem::path& batch);

/// Computes a batch that the health guard refused once more, forward and backward, with the weights it met (or those of
/// `checkpoint`; with trainable: all, where a batch holds none, by itself those of the run's newest checkpoint before
/// it, with a warning where steps lie between), and prints loss, KL and gradient norm beside the recorded ones, and for
/// each completion its loss, log-probabilities, KL and the gradient norm it has by itself, marking what is not finite
/// or far above the others. `batch`: the folder of a step, or one rank's file. Returns 3 if the guard refuses it again,
/// else 0. Throws Error for files that cannot be used.
int replay_batch(const LoadedConfig& loaded, const std::filesystem::path& batch,
                 const std::optional<std::filesystem::path>& checkpoint, const at::Device& device);

}  // namespace lriad

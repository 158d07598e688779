#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lriad {

/// What trainer_state.json holds: where a run stands, besides its weights.
struct TrainerState {
  int64_t global_step = 0;
  double epoch = 0;
  uint64_t seed = 0;
  std::map<std::string, int64_t> cursor;  ///< position in the data and other counters
  std::optional<double> best_metric;
  int64_t best_step = -1;                    ///< step of best_metric; -1: none
  std::map<std::string, std::string> extra;  ///< texts of other parts: guard, running recall, hashes, ...
  std::vector<std::string> log_history;      ///< one JSON object a logged step
};

/// Everything of a checkpoint. `write_weights` writes adapter or model files into the folder it is given.
struct CheckpointContents {
  TrainerState trainer;
  std::map<std::string, at::Tensor> state;  ///< state.safetensors: optimizer moments, counters
  std::function<void(const std::filesystem::path& folder)> write_weights;
};

/// Writes `<run_dir>/checkpoint-<global_step>`: all files into a hidden folder, flushed; DONE with size and SHA-256 of
/// each, last; then renamed. A crash at any moment leaves the checkpoint whole or absent. An older folder of that name
/// is replaced. On failure (disk full, read-only) the hidden folder is removed, older checkpoints stay as they were,
/// and Error is thrown. One process of a world calls it. Returns the folder.
std::filesystem::path write_checkpoint(const std::filesystem::path& run_dir, const CheckpointContents& contents);

/// Why a checkpoint must not be used: DONE missing or unreadable, a file missing, cut, changed. Null: whole. Throws
/// Error if a newer version of this program wrote it.
std::optional<std::string> checkpoint_damage(const std::filesystem::path& checkpoint);

/// The checkpoint to go on from. `never`: none. `auto`: the newest whole one of run_dir, none if there is none; each
/// damaged newer one is named in a warning. Else a path: throws Error naming it unless it is a whole checkpoint.
std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& run_dir, const std::string& resume);

/// Reads trainer_state.json; throws Error naming the file and field.
TrainerState read_trainer_state(const std::filesystem::path& checkpoint);

/// Reads state.safetensors into memory of its own.
std::map<std::string, at::Tensor> read_state(const std::filesystem::path& checkpoint);

/// Removes the oldest finished checkpoints until `save_total_limit` (at least 1) are left, but never the newest nor
/// that of best_step (-1: none), as transformers' Trainer does.
void limit_checkpoints(const std::filesystem::path& run_dir, int64_t save_total_limit, int64_t best_step);

/// Removes checkpoints after `step`, whole or damaged: a run that goes on from `step` writes them again.
void discard_checkpoints_after(const std::filesystem::path& run_dir, int64_t step);

/// Steps of all folders called checkpoint-<step> in run_dir, ascending.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& run_dir);

}  // namespace lriad

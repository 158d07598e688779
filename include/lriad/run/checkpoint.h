#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lriad {

/// Content of trainer_state.json: the state of a run besides its tensors.
struct TrainerState {
  int64_t global_step = 0;                   ///< optimizer steps done
  double epoch = 0;                          ///< epochs done, with fraction
  uint64_t seed = 0;                         ///< the run's seed
  std::map<std::string, int64_t> cursor;     ///< position in the data and other counters
  std::optional<double> best_metric;         ///< best value of train.metric_for_best_model so far
  int64_t best_step = -1;                    ///< step of best_metric; -1: none
  std::map<std::string, std::string> extra;  ///< saved texts of other parts: guard, running recall, hashes
  std::vector<std::string> log_history;      ///< one JSON object per logged step, the last kLogHistory

  /// Adds a logged step. Older ones make room, so that checkpoints of a long run do not grow; metrics.jsonl has all.
  void add_log(std::string json);
};
inline constexpr std::size_t kLogHistory = 1000;

/// What a checkpoint consists of.
struct CheckpointContents {
  TrainerState trainer;
  std::map<std::string, at::Tensor> state;  ///< state.safetensors: optimizer moments, counters
  std::function<void(const std::filesystem::path& folder)> write_weights;  ///< writes adapter or model files
};

/// Writes `<run_dir>/checkpoint-<global_step>` and returns it; an older folder of that name is replaced. All files are
/// written into a hidden folder and flushed, DONE with size and SHA-256 of each comes last, then the folder is renamed:
/// a crash leaves the checkpoint whole or absent. Throws Error on failure (disk full, read-only) and then removes the
/// hidden folder; older checkpoints are not touched. Only one process of a run calls it.
std::filesystem::path write_checkpoint(const std::filesystem::path& run_dir, const CheckpointContents& contents);

/// Null if the checkpoint is whole, else why it must not be used: DONE is missing or unreadable, or a file is missing,
/// cut or changed. Throws Error if a newer version of this program wrote it.
std::optional<std::string> checkpoint_damage(const std::filesystem::path& checkpoint);

/// The checkpoint to resume from. `resume` is never (none), auto (the newest whole one of run_dir, if any; a warning
/// names each damaged newer one) or a path. Throws Error if that path is no whole checkpoint.
std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& run_dir, const std::string& resume);

/// Reads trainer_state.json; throws Error naming the file and the field that is missing or wrong.
TrainerState read_trainer_state(const std::filesystem::path& checkpoint);

/// Reads state.safetensors. The tensors are copies, so the checkpoint may be deleted afterwards.
std::map<std::string, at::Tensor> read_state(const std::filesystem::path& checkpoint);

/// Removes the oldest finished checkpoints until `save_total_limit` (at least 1) are left, but never the newest nor the
/// one of best_step (-1: none), as transformers' Trainer does.
void limit_checkpoints(const std::filesystem::path& run_dir, int64_t save_total_limit, int64_t best_step);

/// Removes checkpoints after `step`, whole or damaged, since a run that resumes from `step` writes them again.
void discard_checkpoints_after(const std::filesystem::path& run_dir, int64_t step);

/// Steps of all folders called checkpoint-<step> in run_dir, ascending.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& run_dir);

}  // namespace lriad

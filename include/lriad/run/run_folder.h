#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "lriad/config/config.h"
#include "lriad/core/descriptor.h"

namespace lriad {

/// Throws Error if a run cannot use the folder: it is a file, it holds checkpoints although `resume` is never, or
/// `resume` names no whole checkpoint. Writes nothing.
void check_run_folder(const std::filesystem::path& run_dir, const std::string& resume);

/// Throws Error if config.output_dir is the folder of the model or the data or lies in one, or is that of the adapter:
/// a run would write over its own input.
void check_output_place(const Config& config);

/// Keeps a second run out of a run folder by a lock on `<run_dir>/.lock`. The system releases it when the process ends,
/// even by a crash. Throws Error naming process and host of the run that holds it. One process of a run takes it.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& run_dir);
  /// Throws Error if the run folder has been removed, moved away or replaced since.
  void check() const;

 private:
  std::filesystem::path run_dir_;
  Descriptor file_;
};

/// Removes hidden checkpoint folders and temporary files that an interrupted run left directly in run_dir.
void remove_leftovers(const std::filesystem::path& run_dir);

/// Cuts metrics.jsonl, completions.jsonl and TensorBoard event files after `step` (0: before the first step), and a
/// last line that a crash left incomplete. Earlier lines are not changed. Throws Error naming file and line if a line
/// to keep follows one to cut.
void truncate_run_logs(const std::filesystem::path& run_dir, int64_t step);

}  // namespace lriad

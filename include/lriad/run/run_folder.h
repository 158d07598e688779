#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lriad {

/// Throws Error if a run could not use the folder: a file stands there, or `resume` names no whole checkpoint. Writes
/// nothing.
void check_run_folder(const std::filesystem::path& run_dir, const std::string& resume);

/// Keeps a second run out of a run folder: holds a lock on `<run_dir>/.lock` until destroyed or the process ends,
/// however it ends. Throws Error naming process and host of the run that has it. One process of a world takes it.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& run_dir);
  ~RunLock();
  /// Throws Error if the run folder has been removed, moved away or replaced since.
  void check() const;
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::filesystem::path run_dir_;
  int descriptor_ = -1;
};

/// Removes what an interrupted run left: hidden checkpoint folders and temporary files in run_dir itself.
void remove_leftovers(const std::filesystem::path& run_dir);

/// Brings metrics.jsonl, completions.jsonl and TensorBoard event files back to the end of `step` (0: to the beginning):
/// drops later lines and records, and a last line cut by a crash. Lines before stay byte for byte. Throws Error naming
/// file and line for a line that is no JSON object with a step.
void truncate_run_logs(const std::filesystem::path& run_dir, int64_t step);

}  // namespace lriad

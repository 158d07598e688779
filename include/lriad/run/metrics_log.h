#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/core/files.h"

namespace lriad {

/// Names and values of metrics, in order; null if a metric is undefined in this step.
using Metrics = std::vector<std::pair<std::string, std::optional<double>>>;

/// Metrics of one optimizer step, in the order added: one line of metrics.jsonl and the scalars of TensorBoard.
class StepMetrics {
 public:
  StepMetrics(int64_t step, double epoch);  ///< `step` counts from 1; `epoch` has a fraction
  void add(const std::string& name, double value);
  void add_count(const std::string& name, int64_t value);
  void add(const Metrics& metrics);
  void add_null(const std::string& name);  ///< the metric is undefined in this step, which is no fault
  int64_t step() const { return step_; }
  /// One JSON object with step, epoch and the metrics. Non-finite values are written as null and listed in `nonfinite`.
  std::string json() const;
  /// Names and values of all finite metrics, with epoch.
  std::vector<std::pair<std::string, double>> scalars() const;

 private:
  enum class Kind { kNumber, kCount, kNull };
  struct Entry {
    std::string name;
    Kind kind;
    double number;
    int64_t count;
  };
  int64_t step_;
  std::vector<Entry> entries_;
};

/// Token ids and log-probabilities of a completion (natural log), written with log.token_ids.
struct CompletionTokens {
  std::vector<int64_t> prompt_ids;
  std::vector<int64_t> completion_ids;
  std::vector<double> sampling_logprobs;            ///< TokenTrace::sampling_logp
  std::optional<std::vector<double>> old_logprobs;  ///< null if not computed
  std::optional<std::vector<double>> ref_logprobs;  ///< null if not computed
  std::vector<double> policy_logprobs;              ///< of the training pass
};

/// One line of completions.jsonl.
struct CompletionRecord {
  int64_t step = 0;
  int64_t rank = 0;
  int64_t prompt_index = 0;  ///< number of the prompt in the step's batch over all ranks
  std::string sample_id, image, object;
  std::vector<std::string> reference;  ///< reference images of the prompt
  std::string label;                   ///< defect | normal
  int64_t generation = 0;
  std::string text;
  std::string verdict;                                  ///< defect | normal | invalid
  std::vector<std::pair<std::string, double>> rewards;  ///< by component, unweighted
  double reward = 0;                                    ///< weighted sum
  std::optional<double> p;                              ///< as Reward::p
  double advantage = 0;
  int64_t length = 0;  ///< in tokens
  bool truncated = false;
  std::optional<CompletionTokens> tokens;  ///< set with log.token_ids
};

/// The record as one line without newline. Invalid UTF-8 becomes U+FFFD, non-finite numbers become null.
std::string completion_json(const CompletionRecord& record);

class EventWriter;
struct EventExample;

/// Appends to the logs of a run folder: metrics.jsonl and, as LogSection says, completions.jsonl and TensorBoard
/// events. Call truncate_run_logs() before. Only the main rank has one. Throws Error when the disk is full.
class RunLog {
 public:
  RunLog(const std::filesystem::path& run_dir, const LogSection& section);
  ~RunLog();
  void write(const StepMetrics& metrics);
  bool shows_examples() const { return events_ != nullptr; }
  void write_examples(int64_t step, const std::vector<EventExample>& examples);  ///< to TensorBoard, if it is written
  void write_completion(const std::string& line);  ///< a line made by completion_json(), on this or another rank
  void sync();                                     ///< flushes all files to the disk, before a checkpoint

 private:
  LineFile metrics_;
  std::optional<LineFile> completions_;
  std::unique_ptr<EventWriter> events_;
};

}  // namespace lriad

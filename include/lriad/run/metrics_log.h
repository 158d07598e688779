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

/// Metrics by name, in order; null where undefined.
using Metrics = std::vector<std::pair<std::string, std::optional<double>>>;

/// Metrics of one optimizer step, in the order added: one line of metrics.jsonl and the scalars of TensorBoard.
class StepMetrics {
 public:
  StepMetrics(int64_t step, double epoch);
  void add(const std::string& name, double value);
  void add_count(const std::string& name, int64_t value);
  void add(const Metrics& metrics);        ///< numbers and nulls
  void add_null(const std::string& name);  ///< has no value in this step; unlike a non-finite one, no fault
  int64_t step() const { return step_; }
  /// One JSON object: step, epoch, then the rest; non-finite numbers are null and named in `nonfinite`.
  std::string json() const;
  /// Finite metrics, epoch included.
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
  std::vector<double> sampling_logprobs;
  std::optional<std::vector<double>> old_logprobs;  ///< null: not computed
  std::optional<std::vector<double>> ref_logprobs;
  std::vector<double> policy_logprobs;
};

/// One line of completions.jsonl.
struct CompletionRecord {
  int64_t step = 0;
  int64_t rank = 0;
  int64_t prompt_index = 0;  ///< position in the step's batch, over all ranks
  std::string sample_id, image, object;
  std::string label;  ///< defect | normal
  int64_t generation = 0;
  std::string text;
  std::string verdict;                                  ///< defect | normal | invalid
  std::vector<std::pair<std::string, double>> rewards;  ///< by component, unweighted
  double reward = 0;                                    ///< weighted sum
  std::optional<double> p;
  double advantage = 0;
  int64_t length = 0;
  bool truncated = false;
  std::optional<CompletionTokens> tokens;
};

/// The line, without newline; invalid UTF-8 becomes U+FFFD, non-finite numbers null.
std::string completion_json(const CompletionRecord& record);

class EventWriter;

/// The growing files of a run folder: metrics.jsonl, completions.jsonl, TensorBoard events, as LogSection asks. Opens
/// for appending: call truncate_run_logs() before. The main rank has one. Throws Error when the disk is full.
class RunLog {
 public:
  RunLog(const std::filesystem::path& run_dir, const LogSection& section);
  ~RunLog();
  void write(const StepMetrics& metrics);
  void write_completion(const std::string& line);  ///< of completion_json(), so that other ranks' lines pass unread
  void sync();                                     ///< to the disk; before a checkpoint

 private:
  LineFile metrics_;
  std::optional<LineFile> completions_;
  std::unique_ptr<EventWriter> events_;
};

}  // namespace lriad

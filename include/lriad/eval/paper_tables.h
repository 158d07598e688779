#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lriad/eval/metrics.h"

namespace lriad {

/// One method's row of Table V or VI of LR-IAD (arXiv 2504.19524v1), in percent as printed.
struct PaperRow {
  struct Confusion {
    int64_t tp = 0, fn = 0, tn = 0, fp = 0;
  };
  const char* data;  ///< MVTec-AD (Table VI) or VisA (Table V)
  const char* object;
  const char* method;
  double accuracy, f1_macro;
  std::optional<Confusion> counts;  ///< that give the printed numbers; null: none do
};
const std::vector<PaperRow>& paper_rows();

/// One number pair of Tables III and IV, in percent as printed.
struct PaperSummary {
  const char* table;
  const char* data;
  const char* method;
  double accuracy, f1_macro;
  const char* aggregation;  ///< how the printed numbers follow from those of the objects
};
const std::vector<PaperSummary>& paper_summaries();

/// The tables of each data set that has some of the run's objects (of both without a run), for the terminal: the
/// printed numbers with their counts, constant answers marked, and the run's own; then pooled and mean of objects, each
/// like for like, over the objects that the run has. The run's invalid answers must be counted as wrong
/// (InvalidPolicy::kWrong).
std::string paper_comparison(const std::optional<MetricsReport>& run);

}  // namespace lriad

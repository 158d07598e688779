#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lriad/health/guard.h"

namespace lriad {

/// What the replay finds for one completion. Log-probabilities and KL are in nats.
struct Finding {
  int64_t prompt_index = 0;
  std::size_t generation = 0;
  std::string sample_id, text;
  std::size_t tokens = 0;
  double advantage = 0, loss = 0, mean_logp = 0, min_logp = 0, kl = 0, grad_norm = 0;
  std::string marks;  ///< what is conspicuous, such as "KL far above the others"; empty if nothing is
};

/// Marks findings whose metric, called `name`, is not finite or more than five times the median of the batch.
void mark(std::vector<Finding>& findings, double Finding::*metric, const std::string& name);

/// Prints a table of the findings on standard output, then the texts of those that are marked.
void print_findings(const std::vector<Finding>& findings);

/// Prints the recorded metrics beside those of the replay on standard output.
void print_totals(const StepHealth& before, const StepHealth& now);

}  // namespace lriad

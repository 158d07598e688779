#pragma once

#include <string>

#include "lriad/config/config.h"

namespace lriad {

/// Gives a default prompt.template (kPaperPrompt or kReferencePrompt) the words that data.reference.normal asks for,
/// and eval_data the number of reference images of data.
void fit_to_reference(Config& config);

/// Why prompt.template and data.reference.normal do not go together, and what to write; empty if they do.
std::string template_problem(const Config& config);

}  // namespace lriad

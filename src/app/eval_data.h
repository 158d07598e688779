#pragma once

#include <cstdint>
#include <memory>

#include "eval_options.h"
#include "lriad/data/dataset.h"

namespace lriad {

/// The images that the command line and the config ask for.
Dataset read_eval_data(const EvalCommandLine& line, const Config& config);

/// Keeps `count` samples, taken from the objects in turn, and from the labels of an object in turn, in an order drawn
/// by the seed; their order stays.
void limit_samples(Dataset& dataset, int64_t count, uint64_t seed);

/// The references of a model's prompts; null if data.reference asks for none. Throws Error if it is not known where
/// they come from.
std::shared_ptr<const References> read_eval_references(const Config& config);

}  // namespace lriad

#pragma once

#include <vector>

#include "lriad/config/config.h"
#include "lriad/data/dataset.h"
#include "lriad/data/prepare.h"

namespace lriad {

/// Throws Error if the stage or the reward cannot act on the labels: unlabelled images with stage grpo, or one class
/// only with a sampler or a reward that weighs one class against the other.
void check_labels(const Config& config, const Dataset& data);

/// Throws Error unless an image of the data can be decoded; the first that can ends the search.
void check_one_image_is_readable(const Dataset& data, const SamplePreparer& preparer);

/// Goes through the target texts of stage sft: throws Error naming the sample if one holds an image token, and warns
/// with their number if answers contradict the labels.
void check_targets(const Config& config, const Dataset& data);

}  // namespace lriad

#pragma once

#include <string>
#include <vector>

#include "lriad/data/dataset.h"
#include "lriad/eval/metrics.h"

namespace lriad {

/// The metrics of all predictions with a map. Masks are read here: one that cannot be read, or has another size than
/// its image, is named in a warning and left out.
MapMetrics map_metrics(const std::vector<Prediction>& predictions, const Dataset& dataset);

/// "maps act 5.8 times as strongly as random cells (...)", or that they don't; lines end in \n.
std::string map_text(const MapMetrics& metrics);

/// What the deletion check says of one map, without a full stop.
std::string deletion_text(const HeatMap& map);

}  // namespace lriad

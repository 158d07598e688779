#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lriad/config/load_config.h"

namespace lriad {

/// Reports a problem among `keys`, whose first is the one to change.
using Complain = std::function<void(const std::vector<std::string>& keys, const std::string& text)>;

/// What the program needs and nobody set.
void check_required(const Config& config, ConfigUse use, const Complain& complain);

/// Keys whose values do not go together. Evaluation looks at those on which it acts only.
void check_relations(const Config& config, ConfigUse use, const Complain& complain);

}  // namespace lriad

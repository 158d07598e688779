#pragma once

#include <vector>

#include "key_table.h"

namespace lriad {

/// The keys of optim, train, eval, log, distributed and guard; part of key_table().
void add_training_keys(std::vector<Key>& keys, Config& config);

}  // namespace lriad

#pragma once

#include <string>
#include <vector>

#include "field.h"
#include "lriad/config/config.h"

namespace lriad {

/// One key of the config.
struct Key {
  std::string name;     ///< with its sections: grpo.beta
  std::string comment;  ///< what it is, with its unit
  FieldPointer field;   ///< of the Config that the table was made for
};

/// Every key, once, in the order of the files; those of eval_data only if the config has eval_data. The one list that
/// reading, suggestions, printing and canonical_config() come from. The config must outlive the table.
std::vector<Key> key_table(Config& config);

/// Names of the sections that the keys lie in, such as "reward.focal", eval_data included.
std::vector<std::string> section_names(const std::vector<Key>& keys);

}  // namespace lriad

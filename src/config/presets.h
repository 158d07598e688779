#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lriad {

/// Keys and values (YAML) that a preset gives to keys that nobody set; configs/README.md lists them. Empty for an
/// unknown name.
const std::vector<std::pair<std::string, std::string>>& preset_settings(std::string_view name);

/// TextRule of the key `preset`: null for a known name, else the list of names.
const char* preset_rule(const std::string& name);

}  // namespace lriad

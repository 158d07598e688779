#pragma once

#include <string>
#include <vector>

namespace lriad {

/// The known name that was probably meant: fewest insertions, deletions, replacements and swaps of neighbours, at most
/// a third of the name; a name that differs in its section only counts as near. Empty if none is near.
std::string nearest(const std::string& name, const std::vector<std::string>& known);

}  // namespace lriad

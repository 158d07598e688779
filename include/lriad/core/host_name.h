#pragma once

#include <string>

namespace lriad {

/// Name of this machine; "unknown host" if it has none.
std::string host_name();

}  // namespace lriad

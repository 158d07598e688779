#pragma once

#include <string>

namespace lriad {

/// Logs "[vision] <file> <text>" as a warning, once per file in the life of the process. The number of files warned of
/// stands in each line; after 20 files only every hundredth is written.
void warn_once(const std::string& file, const std::string& text);

}  // namespace lriad

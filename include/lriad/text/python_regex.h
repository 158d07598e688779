#pragma once

#include <string>

namespace lriad {

/// Whether a regular expression of Python's re module fits the whole text (re.fullmatch). Throws Error naming the
/// expression if it cannot be read. Source of the syntax: ICU's, which is Python's but for the spelling of named
/// groups.
bool full_match(const std::string& expression, const std::string& text);

}  // namespace lriad

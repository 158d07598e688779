#pragma once

#include <string>
#include <string_view>

namespace lriad {

/// The text with every `from` (not empty) replaced by `to`. What was put in is not searched again.
std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace lriad

#pragma once

#include <cstdio>
#include <optional>
#include <string>

namespace lriad {

inline std::string formatted(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// A share as percent with two decimals; "-" if it is not defined.
inline std::string percent(const std::optional<double>& share) { return share ? formatted("%.2f", *share * 100) : "-"; }

}  // namespace lriad

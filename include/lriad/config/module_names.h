#pragma once

#include <string>
#include <vector>

namespace lriad {

/// Modules of a model as PEFT's configs name them: by names or their endings, or all that a regular expression fits.
struct ModuleNames {
  std::vector<std::string> names;  ///< "q_proj" stands for every module whose path is that or ends in ".q_proj"
  std::string expression;          ///< Python's syntax, for the whole path, or all-linear; acts where `names` is empty
  bool empty() const { return names.empty() && expression.empty(); }
  bool operator==(const ModuleNames&) const = default;
  /// The names with commas between, or the expression.
  std::string text() const;
};

/// Stands for every linear layer except the head, in capitals or small letters.
bool is_all_linear(const std::string& expression);

}  // namespace lriad

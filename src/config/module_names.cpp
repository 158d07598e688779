#include "lriad/config/module_names.h"

#include <strings.h>

#include "lriad/core/error.h"

namespace lriad {

std::string ModuleNames::text() const {
  if (names.empty()) return expression;
  std::string all;
  for (const std::string& name : names) all += concat(all.empty() ? "" : ", ", name);
  return all;
}

bool is_all_linear(const std::string& expression) { return strcasecmp(expression.c_str(), "all-linear") == 0; }

}  // namespace lriad

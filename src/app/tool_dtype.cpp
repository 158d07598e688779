#include "tool_dtype.h"

#include "lriad/core/error.h"

namespace lriad {

at::ScalarType dtype_option(const std::string& name) {
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float32") return at::kFloat;
  fail("app", "--dtype is ", name, ", expected bfloat16 or float32");
}

}  // namespace lriad

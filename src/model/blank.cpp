#include "blank.h"

#include <ATen/ATen.h>

namespace lriad {
namespace {

thread_local bool shapes_only = false;

}  // namespace

at::Tensor blank(at::IntArrayRef sizes) {
  return at::empty(sizes, at::TensorOptions().device(shapes_only ? at::kMeta : at::kCPU));
}

ShapesOnly::ShapesOnly() { shapes_only = true; }
ShapesOnly::~ShapesOnly() { shapes_only = false; }

}  // namespace lriad

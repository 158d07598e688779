#include "module_tree.h"

#include <ATen/ATen.h>

#include <memory>

namespace lriad {
namespace {

// Aligned, because mold 1.10 makes programs that do not start where the end of their code lies so near the end of a
// page that an unaligned thread-local section ends on the next one ("cannot apply additional memory protection").
alignas(16) thread_local bool shapes_only = false;

}  // namespace

at::Tensor blank(at::IntArrayRef sizes) {
  return at::empty(sizes, at::TensorOptions().device(shapes_only ? at::kMeta : at::kCPU));
}

torch::nn::Module& name_space(torch::nn::Module& owner, const std::string& name) {
  const auto children = owner.named_children();
  if (const auto* found = children.find(name)) return **found;
  return *owner.register_module(name, std::make_shared<torch::nn::Module>());
}

ShapesOnly::ShapesOnly() { shapes_only = true; }
ShapesOnly::~ShapesOnly() { shapes_only = false; }

}  // namespace lriad

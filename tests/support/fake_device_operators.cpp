#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include <set>
#include <string>

#include "support/fake_device.h"
#include "support/fake_device_memory.h"

namespace lriad {
namespace {

using torch::jit::Stack;

DeviceCounts counts;  // changed only while an OpenMemory exists, whose mutex guards it

const c10::DispatchKeySet kKeys(c10::DispatchKey::CUDA);

at::Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &FakeMemory::instance(), kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &FakeMemory::instance(), kKeys, c10::dtype_or_default(dtype));
}

/// A CPU tensor over the same memory, which may be used only while an OpenMemory exists.
at::Tensor host_view(const at::Tensor& x) {
  if (!x.defined() || !x.is_cuda()) return x;
  const auto options = at::TensorOptions().dtype(x.dtype());
  if (x.numel() == 0) return at::empty_strided(x.sizes(), x.strides(), options);
  const auto count = static_cast<int64_t>(x.storage().nbytes() / x.dtype().itemsize());
  return at::from_blob(x.storage().mutable_data(), {count}, options)
      .as_strided(x.sizes(), x.strides(), x.storage_offset());
}

at::Tensor to_device(const at::Tensor& x) {
  if (!x.defined()) return x;
  const at::Tensor result = empty_strided(x.sizes(), x.strides(), x.scalar_type(), {}, {}, {});
  if (x.numel() > 0) host_view(result).copy_(x);
  return result;
}

at::Tensor& copy_into(at::Tensor& self, const at::Tensor& source, bool /*non_blocking*/) {
  const OpenMemory open;
  if (self.is_cpu()) {
    ++counts.synchronisations;
  } else {
    ++(source.is_cpu() ? counts.copies : counts.launches);
  }
  host_view(self).copy_(host_view(source));
  return self;
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& target, bool non_blocking) {
  at::Tensor result = target;
  return copy_into(result, self, non_blocking);
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& target) {
  target.resize_(self.sizes());
  return copy_from(self, target, /*non_blocking=*/false);
}

at::Scalar read_scalar(const at::Tensor& x) {
  const OpenMemory open;
  ++counts.synchronisations;
  return host_view(x).item();
}

const at::Tensor& resize(const at::Tensor& self, c10::IntArrayRef size, std::optional<at::MemoryFormat>) {
  c10::TensorImpl* const tensor = self.unsafeGetTensorImpl();
  const auto needed = static_cast<std::size_t>(c10::multiply_integers(size) + self.storage_offset()) * self.itemsize();
  const c10::Storage& storage = tensor->storage();
  if (needed > storage.nbytes()) {
    c10::DataPtr larger = FakeMemory::instance().allocate(needed);
    if (storage.nbytes() > 0) FakeMemory::instance().copy_data(larger.get(), storage.data(), storage.nbytes());
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(larger));
    storage.unsafeGetStorageImpl()->set_nbytes(needed);
  }
  tensor->set_sizes_contiguous(size);
  return self;
}

at::Tensor as_strided(const at::Tensor& x, c10::IntArrayRef size, c10::IntArrayRef stride,
                      std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(x, size, stride, offset);
}

at::Tensor reshape_alias(const at::Tensor& x, c10::IntArrayRef size, c10::IntArrayRef stride) {
  return at::native::as_strided_tensorimpl(x, size, stride, x.storage_offset());
}

at::Tensor view(const at::Tensor& x, c10::IntArrayRef size) { return at::native::view(x, size); }

at::Tensor& set_storage(at::Tensor& self, at::Storage storage, int64_t offset, c10::IntArrayRef size,
                        c10::IntArrayRef stride) {
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(storage));
  self.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return self;
}

/// Runs any other operator by calling the CPU's operator on views of the same memory.
class HostCall {
 public:
  HostCall(const c10::OperatorHandle& op, Stack& stack)
      : op_(op), schema_(op.schema()), stack_(stack), first_(stack.size() - schema_.arguments().size()) {}

  void run() {
    given_.assign(stack_.begin() + first(), stack_.end());
    for (std::size_t k = first_; k < stack_.size(); ++k) stack_[k] = on_host(stack_[k]);
    TORCH_CHECK(!(on_device_ && on_cpu_), schema_.operator_name(), " mixes tensors of the CPU and of a GPU");
    passed_.assign(stack_.begin() + first(), stack_.end());
    op_.callBoxed(&stack_);
    count();
    write_back();
    for (std::size_t k = 0; k < schema_.returns().size(); ++k) give_back(k);
  }

 private:
  std::ptrdiff_t first() const { return static_cast<std::ptrdiff_t>(first_); }

  at::Tensor on_host(const at::Tensor& x) {
    if (x.defined() && x.is_cuda()) on_device_ = true;
    // Tensors without dimensions may be on the CPU; they become arguments of the kernel.
    if (x.defined() && x.is_cpu() && x.dim() > 0) on_cpu_ = true;
    return host_view(x);
  }

  c10::IValue on_host(const c10::IValue& value) {
    if (value.isDevice()) return c10::Device(c10::kCPU);
    if (value.isTensor()) return on_host(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& x : value.toTensorVector()) list.push_back(on_host(x));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const auto& x : value.toOptionalTensorVector()) list.push_back(x ? std::optional(on_host(*x)) : x);
      return list;
    }
    return value;
  }

  /// Counts a launch, and a wait of the host if the result is a number or its size depends on data.
  void count() const {
    static const std::set<std::string> sized_by_data = {"aten::nonzero", "aten::masked_select"};
    ++counts.launches;
    bool waits = sized_by_data.contains(op_.operator_name().name);
    for (const auto& one : schema_.returns()) {
      const auto kind = one.type()->kind();
      waits |= kind != c10::TypeKind::TensorType && kind != c10::TypeKind::ListType;
    }
    if (waits) ++counts.synchronisations;
  }

  bool is_written(std::size_t k) const {
    const auto* alias = schema_.arguments()[k].alias_info();
    return alias != nullptr && alias->isWrite() && given_[k].isTensor() && given_[k].toTensor().is_cuda();
  }

  /// Copies back an `out` argument that the operator resized, since that gave it memory of its own.
  void write_back() {
    for (std::size_t k = 0; k < given_.size(); ++k) {
      if (!is_written(k)) continue;
      const at::Tensor own = given_[k].toTensor(), written = passed_[k].toTensor();
      if (own.sizes() == written.sizes()) continue;
      own.resize_(written.sizes());
      host_view(own).copy_(written);
    }
  }

  /// Sets result `k` to the argument that it aliases, or to a tensor of the device with its values.
  void give_back(std::size_t k) {
    c10::IValue& result = stack_[first_ + k];
    const auto* alias = schema_.returns()[k].alias_info();
    for (std::size_t i = 0; alias != nullptr && alias->isWrite() && i < given_.size(); ++i) {
      const auto* own = schema_.arguments()[i].alias_info();
      if (own == nullptr || *own != *alias) continue;
      result = given_[i];
      return;
    }
    if (result.isTensor()) result = to_device(result.toTensor());
    if (!result.isTensorList()) return;
    c10::List<at::Tensor> list;
    for (const at::Tensor& x : result.toTensorVector()) list.push_back(to_device(x));
    result = list;
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  Stack& stack_;
  std::size_t first_;
  bool on_device_ = false, on_cpu_ = false;
  std::vector<c10::IValue> given_, passed_;
};

void call_on_host(const c10::OperatorHandle& op, Stack* stack) {
  const OpenMemory open;
  HostCall(op, *stack).run();
}

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&call_on_host>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("as_strided", &as_strided);
  library.impl("view", &view);
  library.impl("_reshape_alias", &reshape_alias);
  library.impl("resize_", &resize);
  library.impl("set_.source_Storage_storage_offset", &set_storage);
  library.impl("copy_", &copy_into);
  library.impl("_copy_from", &copy_from);
  library.impl("_copy_from_and_resize", &copy_from_and_resize);
  library.impl("_local_scalar_dense", &read_scalar);
}

}  // namespace

DeviceCounts device_counts() {
  const OpenMemory open;
  return counts;
}

void count_synchronisation() {
  const OpenMemory open;
  ++counts.synchronisations;
}

}  // namespace lriad

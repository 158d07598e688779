#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lriad {

/// One tensor of a safetensors file.
struct TensorEntry {
  std::string name;
  std::string dtype;  ///< as in the file: "F32", "BF16", …
  std::vector<int64_t> shape;
  uint64_t begin = 0;  ///< byte offsets into the data part
  uint64_t end = 0;
};

/// A safetensors file mapped into memory. It is checked as by the reference implementation (safetensors,
/// src/tensor.rs), whose error names are used in messages. Tensors are views of the mapping; only misaligned ones are
/// copied.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::vector<TensorEntry>& entries() const;  ///< sorted by offset
  const std::map<std::string, std::string>& metadata() const;
  const TensorEntry* find(const std::string& name) const;
  /// Read-only view of the mapping in the file's dtype (BOOL, U8, I8, I16, I32, I64, F16, BF16, F32, F64). It keeps the
  /// mapping alive.
  at::Tensor tensor(const std::string& name) const;
  std::string_view bytes(const TensorEntry& entry) const;
  const std::filesystem::path& path() const;

 private:
  struct Map;
  std::shared_ptr<const Map> map_;
};

/// A tensor to be written that is made later, so that a file need not fit into memory.
struct TensorSpec {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t bytes() const;
};
using TensorMaker = std::function<at::Tensor(const TensorSpec&)>;

/// Writes a file in the reference writer's order, whole or not at all. `make` is called once per tensor; its result, on
/// any device, is released after it was written. Throws Error if it has not the dtype and shape of the spec.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorSpec> tensors, const TensorMaker& make,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

/// As above for tensors that exist, on any device; they are copied to the CPU one at a time.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace lriad

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

/// A safetensors file mapped into memory, checked as the reference implementation checks it (safetensors,
/// src/tensor.rs; its error names stand in the message). Tensors are views of the map: no second copy; copied only when
/// misaligned.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::vector<TensorEntry>& entries() const;  ///< sorted by offset
  const std::map<std::string, std::string>& metadata() const;
  const TensorEntry* find(const std::string& name) const;
  /// Read-only view on the map in the file's dtype (BOOL, U8, I8, I16, I32, I64, F16, BF16, F32, F64). Keeps the map
  /// alive.
  at::Tensor tensor(const std::string& name) const;
  std::string_view bytes(const TensorEntry& entry) const;
  const std::filesystem::path& path() const;

 private:
  struct Map;
  std::shared_ptr<const Map> map_;
};

/// A tensor yet to be made, for writing files that need not fit into memory.
struct TensorSpec {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t bytes() const;
};
using TensorMaker = std::function<at::Tensor(const TensorSpec&)>;

/// Writes one tensor after another in the reference writer's order, atomically; `make` is called once per tensor and
/// its result, on any device, is dropped once written. Throws Error if it is not of the spec's dtype and shape.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorSpec> tensors, const TensorMaker& make,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

/// Writes tensors (any device; copied to the CPU one at a time) in the reference writer's order, atomically, streaming:
/// no second copy of the whole in memory.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace lriad

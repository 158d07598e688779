#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/model/safetensors.h"
#include "safetensors_types.h"

namespace lriad {
namespace {

/// The reference writer's order: type descending, then name.
void sort_for_writing(std::vector<TensorSpec>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    const std::size_t rank_a = dtype_rank(a.dtype), rank_b = dtype_rank(b.dtype);
    return rank_a != rank_b ? rank_a > rank_b : a.name < b.name;
  });
}

std::string header_text(const std::vector<TensorSpec>& tensors, const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t begin = 0;
  for (const TensorSpec& spec : tensors) {
    const DtypeInfo& dtype = kDtypes.at(dtype_rank(spec.dtype));
    if (dtype.bits == 0) fail("model", "tensor ", spec.name, " has a dtype that safetensors cannot hold");
    const uint64_t end = begin + spec.bytes();
    header[spec.name] = {{"dtype", dtype.name}, {"shape", spec.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

uint64_t TensorSpec::bytes() const {
  uint64_t size = c10::elementSize(dtype);
  for (const int64_t length : shape) size *= static_cast<uint64_t>(length);
  return size;
}

void write_safetensors(const std::filesystem::path& path, std::vector<TensorSpec> tensors, const TensorMaker& make,
                       const std::map<std::string, std::string>& metadata) {
  sort_for_writing(tensors);
  const std::string header = header_text(tensors, metadata);
  write_file_atomic("model", path, [&](const ByteSink& sink) {
    const uint64_t length = header.size();
    sink({reinterpret_cast<const char*>(&length), sizeof length});
    sink(header);
    for (const TensorSpec& spec : tensors) {
      const at::Tensor host = make(spec).detach().cpu().contiguous();
      require(host.scalar_type() == spec.dtype && host.sizes() == at::IntArrayRef(spec.shape), "model", spec.name,
              " was announced with another dtype or shape than ", host.scalar_type(), " ", host.sizes());
      sink({static_cast<const char*>(host.data_ptr()), host.nbytes()});
    }
  });
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, tensor] : tensors) specs.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  write_safetensors(
      path, std::move(specs), [&](const TensorSpec& spec) { return tensors.at(spec.name); }, metadata);
}

}  // namespace lriad

#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace lriad {

/// A type of the format in the reference's order, by which its writer sorts (largest last).
struct DtypeInfo {
  const char* name;
  uint64_t bits;
  std::optional<at::ScalarType> type;  ///< null: known to the format, not to this program
};
extern const std::array<DtypeInfo, 23> kDtypes;  ///< the last, of 0 bits, stands for unknown ones

/// Place in kDtypes.
std::size_t dtype_rank(const std::string& name);
std::size_t dtype_rank(at::ScalarType type);

}  // namespace lriad

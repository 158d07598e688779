#include "safetensors_types.h"

namespace lriad {

const std::array<DtypeInfo, 23> kDtypes = {{{"BOOL", 8, at::kBool},
                                            {"F4", 4, {}},
                                            {"F6_E2M3", 6, {}},
                                            {"F6_E3M2", 6, {}},
                                            {"U8", 8, at::kByte},
                                            {"I8", 8, at::kChar},
                                            {"F8_E5M2", 8, {}},
                                            {"F8_E4M3", 8, {}},
                                            {"F8_E8M0", 8, {}},
                                            {"F8_E4M3FNUZ", 8, {}},
                                            {"F8_E5M2FNUZ", 8, {}},
                                            {"I16", 16, at::kShort},
                                            {"U16", 16, {}},
                                            {"F16", 16, at::kHalf},
                                            {"BF16", 16, at::kBFloat16},
                                            {"I32", 32, at::kInt},
                                            {"U32", 32, {}},
                                            {"F32", 32, at::kFloat},
                                            {"C64", 64, {}},
                                            {"F64", 64, at::kDouble},
                                            {"I64", 64, at::kLong},
                                            {"U64", 64, {}},
                                            {"", 0, {}}}};

std::size_t dtype_rank(const std::string& name) {
  std::size_t rank = 0;
  while (kDtypes.at(rank).bits != 0 && name != kDtypes.at(rank).name) ++rank;
  return rank;
}

std::size_t dtype_rank(at::ScalarType type) {
  std::size_t rank = 0;
  while (kDtypes.at(rank).bits != 0 && kDtypes.at(rank).type != type) ++rank;
  return rank;
}

}  // namespace lriad

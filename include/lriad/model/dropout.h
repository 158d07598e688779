#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lriad {

/// Key (32 bits) of the dropout masks of row `row` of the sequence whose dropout seed is `seed`.
int64_t dropout_key(uint64_t seed, int64_t row);

/// A mask of dropout over rows with the given keys (int64 [T]) and `width` columns: 1 / keep with probability `keep`,
/// else 0, in `dtype` on the device of the keys: [T, width]. A number depends on the row's key, on `stream`, which
/// tells the layers apart, and on its column alone, so a sequence meets the same mask wherever it stands in a pass, on
/// whatever rank and device, and when its activations are recomputed.
at::Tensor dropout_mask(const at::Tensor& keys_T, uint64_t stream, int64_t width, double keep, at::ScalarType dtype);

}  // namespace lriad

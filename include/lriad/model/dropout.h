#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lriad {

/// Key (32 bits) of the dropout masks of row `row` of the sequence whose dropout seed is `seed`.
int64_t dropout_key(uint64_t seed, int64_t row);

/// Dropout mask [T, width] for rows with these keys (int64 [T]): 1 / keep with probability `keep`, else 0; in `dtype`
/// (float32 or float64) on the device of the keys. Each number depends only on the row's key, on `stream`, which
/// differs between layers, and on the column. So a sequence gets the same mask wherever it stands in a pass, on every
/// rank and device, and when its activations are recomputed.
at::Tensor dropout_mask(const at::Tensor& keys_T, uint64_t stream, int64_t width, double keep, at::ScalarType dtype);

/// How a mask comes about: a number stays if the hash of its row's key, its column and `layer` is below `limit`.
struct DropoutHash {
  uint32_t layer = 0, limit = 0;
};
DropoutHash dropout_hash(uint64_t stream, double keep);

/// x [T, width] times the mask, computed in the dtype in which sums of the wider dtype are kept, the result in `dtype`.
/// On a GPU the mask is made on the way.
at::Tensor drop_out(const at::Tensor& x_TW, const at::Tensor& keys_T, uint64_t stream, double keep,
                    at::ScalarType dtype);

}  // namespace lriad

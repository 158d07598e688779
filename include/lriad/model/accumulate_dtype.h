#pragma once

#include <c10/core/ScalarType.h>

namespace lriad {

/// The dtype in which sums, softmaxes and angles are computed, and the adapter is kept, for a model of `dtype`: float32
/// as in transformers and PEFT, but float64 for a float64 model, so that all its numbers are float64.
inline at::ScalarType accumulate_dtype(at::ScalarType dtype) { return dtype == at::kDouble ? at::kDouble : at::kFloat; }

}  // namespace lriad

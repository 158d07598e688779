#pragma once

#include <c10/core/ScalarType.h>

namespace lriad {

/// The type in which sums, softmaxes and angles of a model of `dtype` are computed, and its adapter is kept: float32 as
/// transformers and PEFT, float64 for a float64 model, so that a run in float64 is one throughout.
inline at::ScalarType accumulate_dtype(at::ScalarType dtype) { return dtype == at::kDouble ? at::kDouble : at::kFloat; }

}  // namespace lriad

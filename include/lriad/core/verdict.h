#pragma once

namespace lriad {

/// What a label or an answer says of a part. A label is never kInvalid; an answer is when it cannot be read.
enum class Verdict { kNormal, kDefect, kInvalid };
const char* verdict_name(Verdict verdict);  ///< "normal" | "defect" | "invalid"

}  // namespace lriad

#pragma once

namespace lriad {

/// What a label or an answer says of the inspected part. Labels are never kInvalid; an answer that cannot be read is.
enum class Verdict { kNormal, kDefect, kInvalid };
const char* verdict_name(Verdict verdict);  ///< "normal" | "defect" | "invalid"

}  // namespace lriad

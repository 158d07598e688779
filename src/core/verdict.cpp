#include "lriad/core/verdict.h"

namespace lriad {

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNormal:
      return "normal";
    case Verdict::kDefect:
      return "defect";
    case Verdict::kInvalid:
      return "invalid";
  }
  return "invalid";
}

}  // namespace lriad

#pragma once

#include <optional>
#include <string>

#include "lriad/core/verdict.h"

namespace lriad {

/// The label that an answer to "is there a defect?" gives: its first word decides (yes, defect, abnormal and the like;
/// no, normal, good and the like; in any case). Null for any other text.
std::optional<Verdict> yes_or_no(const std::string& answer);

}  // namespace lriad

#pragma once

#include <cstddef>
#include <string_view>

namespace lriad {

/// The regular expression of Qwen2's pre-tokenizer that next_piece() follows, as it stands in tokenizer.json.
extern const char* const kSplitPattern;

/// End of the piece that starts at byte `start` (< text.size()) of valid UTF-8: the first alternative of
/// kSplitPattern that matches there (qwen2's pieces cover the text without gaps).
size_t next_piece(std::string_view text, size_t start);

}  // namespace lriad

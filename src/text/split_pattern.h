#pragma once

#include <cstddef>
#include <string_view>

namespace lriad {

/// The regular expression of Qwen2's pre-tokenizer, as in its tokenizer.json; next_piece() implements it.
extern const char* const kSplitPattern;

/// End of the piece that starts at byte `start` (< text.size()) of valid UTF-8: what kSplitPattern matches there. It
/// matches something at each position, so the pieces cover the text without gaps.
size_t next_piece(std::string_view text, size_t start);

}  // namespace lriad

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lriad {

/// Name and content of the files that make up a tokenizer in a model folder.
using TokenizerFiles = std::map<std::string, std::string>;

/// Qwen2-VL's 14 special tokens, in the published order.
const std::vector<std::string>& qwen2_special_tokens();

/// A byte-level BPE of at most `size` tokens in Qwen2's file formats: 256 bytes, merges learned from the texts (the
/// most frequent pair first, of equals the first in byte order) and the special tokens as the last ids. Fewer tokens if
/// the texts give no more merges. Throws Error if `size` leaves no room for the bytes and special tokens.
TokenizerFiles train_bpe_tokenizer(const std::vector<std::string>& texts, int64_t size);

/// A tokenizer.model of the sentencepiece library (BPE with byte fallback, no normalization) trained on the texts, and
/// a tokenizer_config.json whose added tokens, the special ones, follow the model's pieces; `size` bounds both
/// together. Equal texts give equal bytes. Throws Error if the library refuses.
TokenizerFiles train_sentencepiece_tokenizer(const std::vector<std::string>& texts, int64_t size);

}  // namespace lriad

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

/// Trains a byte-level BPE of at most `size` tokens in Qwen2's file formats: 256 bytes, merges learned from the texts
/// (the most frequent pair first, of equally frequent ones the first in byte order), then the special tokens. It is
/// smaller if the texts give no more merges. Throws Error if `size` is below 270 or a text is not UTF-8.
TokenizerFiles train_bpe_tokenizer(const std::vector<std::string>& texts, int64_t size);

/// Trains a tokenizer.model of the sentencepiece library (BPE with byte fallback, no normalization) and writes the
/// special tokens after its pieces into tokenizer_config.json; `size` bounds both together. Equal texts give equal
/// files. Throws Error if the library refuses.
TokenizerFiles train_sentencepiece_tokenizer(const std::vector<std::string>& texts, int64_t size);

}  // namespace lriad

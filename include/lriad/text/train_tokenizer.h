#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lriad {

/// Name and content of the files that make up a tokenizer in a model folder.
using TokenizerFiles = std::map<std::string, std::string>;

/// A token that stands beside the vocabulary; a special one is left out of decoded text.
struct FamilyToken {
  std::string content;
  bool special = true;
};

/// Added tokens of the models of a model_type, in the published order: the 14 special ones of Qwen2-VL, 8 more of
/// Qwen2.5-VL, and of Qwen3-VL 4 again, of which <think> and </think> are two.
std::vector<FamilyToken> family_tokens(std::string_view model_type);

/// Trains a byte-level BPE of at most `size` tokens in Qwen2's file formats: 256 bytes, merges learned from the texts
/// (the most frequent pair first, of equally frequent ones the first in byte order), then the added tokens. It is
/// smaller if the texts give no more merges. Throws Error if `size` is below 256 and the added tokens or a text is not
/// UTF-8.
TokenizerFiles train_bpe_tokenizer(const std::vector<std::string>& texts, int64_t size,
                                   std::string_view model_type = "qwen2_vl");

/// Trains a tokenizer.model of the sentencepiece library (BPE with byte fallback, no normalization) and writes the
/// added tokens after its pieces into tokenizer_config.json; `size` bounds both together. Equal texts give equal
/// files. Throws Error if the library refuses.
TokenizerFiles train_sentencepiece_tokenizer(const std::vector<std::string>& texts, int64_t size,
                                             std::string_view model_type = "qwen2_vl");

}  // namespace lriad

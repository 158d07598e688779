#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lriad {

/// Text to token ids and back, equal to Hugging Face's `tokenizers` for Qwen2-VL's byte-level BPE, or through
/// sentencepiece for folders with a tokenizer.model. Immutable after loading; safe from several threads.
///
/// A sentencepiece folder has tokenizer.model and, if it has tokens beyond the model's pieces, tokenizer_config.json
/// with added_tokens_decoder (or added_tokens.json with special_tokens_map.json). Control and unknown pieces and these
/// added tokens are recognised in text. transformers loads such a folder with the same ids if the model is BPE with
/// byte_fallback, identity normalization, remove_extra_whitespaces and add_dummy_prefix off, the chat's tokens as
/// control_symbols, and tokenizer_config.json says {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false,
/// "legacy": false, "add_bos_token": false, "bos_token": null, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
/// "unk_token": "<unk>"}.
class Tokenizer {
 public:
  enum class Special { kParse, kAsText };  ///< are special tokens in the text recognised?

  /// Reads tokenizer.json if there is one, else vocab.json + merges.txt (+ tokenizer_config.json for added tokens),
  /// else tokenizer.model. Throws Error naming the file for anything damaged or not supported.
  static Tokenizer load(const std::filesystem::path& model_dir);

  std::vector<int64_t> encode(std::string_view text, Special special = Special::kParse) const;

  /// Bytes of all ids joined, invalid UTF-8 replaced by U+FFFD (one per maximal invalid part); ids without a token are
  /// dropped. `skip_special` drops special tokens too.
  std::string decode(std::span<const int64_t> ids, bool skip_special) const;

  /// The bytes of one token before UTF-8 is looked at; empty for an id without a token.
  std::string token_bytes(int64_t id) const;

  std::optional<int64_t> token_id(std::string_view token) const;  ///< of a whole token, added tokens included
  bool is_special(int64_t id) const;
  int64_t size() const;     ///< largest id + 1
  bool adds_space() const;  ///< encode() puts a space before the text and decode() drops it (some sentencepiece models)

  struct Impl;

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Decodes ids one by one, holding back an incomplete UTF-8 tail; the pieces joined equal decode() of all ids.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special);
  std::string push(int64_t id);
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  bool drops_space_;  // until the first bytes have come
  std::string pending_;
};

}  // namespace lriad

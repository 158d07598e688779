#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/text/chat_template.h"

namespace lriad {

/// Turns text into token ids and back: byte-level BPE with the same ids as Hugging Face's `tokenizers` for Qwen2-VL, or
/// the sentencepiece library for folders with a tokenizer.model. Immutable after loading; safe from several threads.
///
/// A sentencepiece folder has tokenizer.model. Tokens beyond the model's pieces stand in tokenizer_config.json
/// (added_tokens_decoder) or in added_tokens.json with special_tokens_map.json. These and the model's control and
/// unknown pieces are recognised in text. transformers gives the same ids if the model is BPE with byte_fallback,
/// identity normalization, remove_extra_whitespaces and add_dummy_prefix off, and the chat's tokens as control_symbols,
/// and if tokenizer_config.json has {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false, "legacy": false,
/// "add_bos_token": false, "bos_token": null, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
/// "unk_token": "<unk>"}.
class Tokenizer {
 public:
  /// Whether encode() turns "<|im_end|>" in the text into the special token or into tokens of its characters.
  enum class Special { kParse, kAsText };

  /// Reads tokenizer.json if there is one, else vocab.json + merges.txt (+ tokenizer_config.json for added tokens),
  /// else tokenizer.model. Throws Error naming the file for anything damaged or not supported.
  static Tokenizer load(const std::filesystem::path& model_dir);

  /// Token ids of the text; bytes that are not UTF-8 are replaced by U+FFFD first.
  std::vector<int64_t> encode(std::string_view text, Special special = Special::kParse) const;

  /// The tokens' bytes joined, with invalid UTF-8 replaced by U+FFFD (one per maximal invalid part). Ids without a
  /// token are left out, special tokens too if `skip_special` is set.
  std::string decode(std::span<const int64_t> ids, bool skip_special) const;

  /// The bytes of one token, which need not be valid UTF-8; empty for an id without a token.
  std::string token_bytes(int64_t id) const;

  std::optional<int64_t> token_id(std::string_view token) const;  ///< id of a token or added token; null if unknown
  /// True for added tokens with the flag `special`, and for control and unknown pieces.
  bool is_special(int64_t id) const;
  int64_t size() const;     ///< largest id + 1
  bool adds_space() const;  ///< encode() puts a space before a text and decode() drops it (some sentencepiece models)

  /// Of the folder; Qwen2-VL's where it has one that is not known (check_chat_template() refuses that).
  const ChatTemplate& chat_template() const { return *chat_template_; }

  struct Impl;

 private:
  std::shared_ptr<const Impl> impl_;
  const ChatTemplate* chat_template_ = nullptr;
};

/// Decodes ids one by one. push() returns the text that is complete so far and keeps the bytes of an unfinished
/// character; finish() returns the rest. All parts joined equal decode() of all ids.
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

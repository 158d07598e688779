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
  int64_t size() const;  ///< largest id + 1

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
  std::string pending_;
};

}  // namespace lriad

#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "added_tokens.h"
#include "lriad/text/tokenizer.h"
#include "vocabulary.h"

namespace lriad {

/// Shared by both kinds of tokenizer: the vocabulary, the bytes of its tokens, and the added tokens that are searched
/// for first in the raw text. Immutable after loading.
struct Tokenizer::Impl {
  Vocabulary vocabulary;
  AddedTokenFinder raw;            ///< added tokens that are searched for in the text before normalization
  std::vector<std::string> bytes;  ///< by id
  std::vector<bool> special;       ///< by id
  bool adds_space = false;         ///< see Tokenizer::adds_space()

  /// `to_bytes` gives the bytes of a token that is not an added token.
  Impl(Vocabulary words, std::string (*to_bytes)(std::string_view));
  virtual ~Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Appends the ids of a valid UTF-8 text that contains no added token of `raw`.
  virtual void append_text(std::string_view text, bool specials_are_text, std::vector<int64_t>& ids) const = 0;
};

std::shared_ptr<const Tokenizer::Impl> load_byte_level(const std::filesystem::path& model_dir);
std::shared_ptr<const Tokenizer::Impl> load_sentencepiece(const std::filesystem::path& model_dir);

}  // namespace lriad

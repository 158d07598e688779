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

/// What the kinds of tokenizer share: a vocabulary, the bytes of its tokens, and added tokens that are found in the raw
/// text first. Immutable after loading.
struct Tokenizer::Impl {
  Vocabulary vocabulary;
  AddedTokenFinder raw;  ///< added tokens looked for in the text as it is
  std::vector<std::string> bytes;
  std::vector<bool> special;
  bool adds_space = false;  ///< encoding puts a space before the text, which decoding takes away again

  /// `to_bytes`: of a token that is not an added one.
  Impl(Vocabulary words, std::string (*to_bytes)(std::string_view));
  virtual ~Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Appends the ids of valid UTF-8 between the added tokens of `raw`.
  virtual void append_text(std::string_view text, bool specials_are_text, std::vector<int64_t>& ids) const = 0;
};

std::shared_ptr<const Tokenizer::Impl> load_byte_level(const std::filesystem::path& model_dir);
std::shared_ptr<const Tokenizer::Impl> load_sentencepiece(const std::filesystem::path& model_dir);

}  // namespace lriad

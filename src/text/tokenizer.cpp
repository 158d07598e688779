#include "lriad/text/tokenizer.h"

#include <utility>

#include "added_tokens.h"
#include "bpe.h"
#include "byte_alphabet.h"
#include "lriad/core/error.h"
#include "split_pattern.h"
#include "unicode.h"
#include "utf8.h"
#include "vocabulary.h"

namespace lriad {

struct Tokenizer::Impl {
  Vocabulary vocabulary;
  AddedTokenFinder raw;         ///< added tokens looked for in the text as it is
  AddedTokenFinder normalized;  ///< those looked for after NFC
  std::vector<std::string> bytes;
  std::vector<bool> special;
  std::unique_ptr<BpeMerger> merger;

  Impl(const std::filesystem::path& where, Vocabulary words);
  void append_pieces(std::string_view text, std::vector<int64_t>& ids) const;
  void append_text(std::string_view text, bool specials_are_text, std::vector<int64_t>& ids) const;
};

Tokenizer::Impl::Impl(const std::filesystem::path& where, Vocabulary words) : vocabulary(std::move(words)) {
  std::vector<AddedToken> in_raw, in_normalized;
  special.resize(vocabulary.tokens().size());
  for (const AddedToken& token : vocabulary.added()) {
    (token.normalized ? in_normalized : in_raw).push_back(token);
    special[token.id] = token.special;
  }
  for (const std::string& token : vocabulary.tokens()) bytes.push_back(token_to_bytes(token));
  for (const AddedToken& token : vocabulary.added()) bytes[token.id] = token.content;
  raw = AddedTokenFinder(std::move(in_raw));
  normalized = AddedTokenFinder(std::move(in_normalized));
  std::array<uint32_t, 256> byte_ids{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto id = vocabulary.find(byte_characters().at(byte));
    if (!id) fail("text", where.string(), ": the vocabulary has no token for byte ", byte, ", expected one for each of the 256");
    byte_ids.at(byte) = *id;
  }
  merger = std::make_unique<BpeMerger>(byte_ids, vocabulary.merges());
}

void Tokenizer::Impl::append_pieces(std::string_view text, std::vector<int64_t>& ids) const {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = next_piece(text, at);
    const std::string_view piece = text.substr(at, end - at);
    const auto whole = vocabulary.ignore_merges ? vocabulary.find(bytes_to_token(piece)) : std::nullopt;
    if (whole) {
      ids.push_back(*whole);
    } else {
      merger->append_ids(piece, ids);
    }
    at = end;
  }
}

void Tokenizer::Impl::append_text(std::string_view text, bool specials_are_text, std::vector<int64_t>& ids) const {
  const std::string composed = utf8::is_ascii(text) ? std::string(text) : unicode::nfc(text);
  normalized.split(composed, specials_are_text, [&](std::string_view piece, const AddedToken* token) {
    if (token != nullptr) {
      ids.push_back(token->id);
    } else {
      append_pieces(piece, ids);
    }
  });
}

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path json = model_dir / "tokenizer.json";
  Vocabulary vocabulary;
  if (std::filesystem::exists(json)) {
    vocabulary = read_tokenizer_json(json);
  } else if (std::filesystem::exists(model_dir / "vocab.json")) {
    vocabulary = read_vocab_and_merges(model_dir);
    for (AddedToken& token : read_config_tokens(model_dir)) {
      vocabulary.add_added_token(model_dir / "tokenizer_config.json", std::move(token));
    }
  } else {
    fail("text", model_dir.string(), " has no tokenizer: expected tokenizer.json, or vocab.json and merges.txt");
  }
  Tokenizer tokenizer;
  tokenizer.impl_ = std::make_shared<const Impl>(model_dir, std::move(vocabulary));
  return tokenizer;
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, Special special) const {
  const bool as_text = special == Special::kAsText;
  const std::string repaired = utf8::is_valid(text) ? std::string() : utf8::replace_invalid(text);
  if (!repaired.empty()) text = repaired;
  std::vector<int64_t> ids;
  impl_->raw.split(text, as_text, [&](std::string_view piece, const AddedToken* token) {
    if (token != nullptr) {
      ids.push_back(token->id);
    } else {
      impl_->append_text(piece, as_text, ids);
    }
  });
  return ids;
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int64_t id : ids) {
    if (!(skip_special && is_special(id))) bytes += token_bytes(id);
  }
  return utf8::replace_invalid(bytes);
}

std::string Tokenizer::token_bytes(int64_t id) const {
  return id < 0 || id >= size() ? std::string() : impl_->bytes[static_cast<std::size_t>(id)];
}

std::optional<int64_t> Tokenizer::token_id(std::string_view token) const {
  const auto id = impl_->vocabulary.find(token);
  if (!id) return std::nullopt;
  return *id;
}

bool Tokenizer::is_special(int64_t id) const { return id >= 0 && id < size() && impl_->special[static_cast<std::size_t>(id)]; }

int64_t Tokenizer::size() const { return static_cast<int64_t>(impl_->bytes.size()); }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int64_t id) {
  if (!(skip_special_ && tokenizer_.is_special(id))) pending_ += tokenizer_.token_bytes(id);
  const std::size_t ready = pending_.size() - utf8::incomplete_tail(pending_);
  const std::string text = utf8::replace_invalid(std::string_view(pending_).substr(0, ready));
  pending_.erase(0, ready);
  return text;
}

std::string StreamDecoder::finish() { return utf8::replace_invalid(std::exchange(pending_, {})); }

}  // namespace lriad

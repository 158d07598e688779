#include <array>
#include <utility>

#include "bpe.h"
#include "byte_alphabet.h"
#include "json_file.h"
#include "lriad/core/error.h"
#include "split_pattern.h"
#include "tokenizer_impl.h"
#include "unicode.h"
#include "utf8.h"

namespace lriad {
namespace {

/// Byte-level BPE of Qwen2: the text is normalized to NFC, split by the pattern, and each piece's bytes are merged.
struct ByteLevelTokenizer : Tokenizer::Impl {
  AddedTokenFinder normalized;  ///< added tokens that are searched for after NFC
  std::unique_ptr<BpeMerger> merger;

  ByteLevelTokenizer(const std::filesystem::path& where, Vocabulary words);
  void append_pieces(std::string_view text, std::vector<int64_t>& ids) const;
  void append_text(std::string_view text, bool specials_are_text, std::vector<int64_t>& ids) const override;
};

ByteLevelTokenizer::ByteLevelTokenizer(const std::filesystem::path& where, Vocabulary words)
    : Impl(std::move(words), token_to_bytes) {
  std::vector<AddedToken> in_raw, in_normalized;
  for (const AddedToken& token : vocabulary.added()) (token.normalized ? in_normalized : in_raw).push_back(token);
  raw = AddedTokenFinder(std::move(in_raw));
  normalized = AddedTokenFinder(std::move(in_normalized));
  std::array<uint32_t, 256> byte_ids{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto id = vocabulary.find(byte_characters().at(byte));
    if (!id) {
      fail("text", where.string(), ": the vocabulary has no token for byte ", byte,
           ", expected one for each of the 256");
    }
    byte_ids.at(byte) = *id;
  }
  merger = std::make_unique<BpeMerger>(byte_ids, vocabulary.merges());
}

void ByteLevelTokenizer::append_pieces(std::string_view text, std::vector<int64_t>& ids) const {
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

void ByteLevelTokenizer::append_text(std::string_view text, bool specials_are_text, std::vector<int64_t>& ids) const {
  const std::string composed = utf8::is_ascii(text) ? std::string(text) : unicode::nfc(text);
  normalized.split(composed, specials_are_text, [&](std::string_view piece, const AddedToken* token) {
    if (token != nullptr) {
      ids.push_back(token->id);
    } else {
      append_pieces(piece, ids);
    }
  });
}

}  // namespace

std::shared_ptr<const Tokenizer::Impl> load_byte_level(const std::filesystem::path& model_dir) {
  const std::filesystem::path json = model_dir / "tokenizer.json";
  Vocabulary vocabulary = is_there(json) ? read_tokenizer_json(json) : read_vocab_and_merges(model_dir);
  add_config_tokens(model_dir, vocabulary);
  return std::make_shared<ByteLevelTokenizer>(model_dir, std::move(vocabulary));
}

}  // namespace lriad

#include <sentencepiece_processor.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "tokenizer_impl.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = 256ull << 20;
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581 stands for a space in pieces

/// The byte of "<0xE9>"; null for other pieces.
std::optional<char> byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto result = std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
  if (result.ptr != piece.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

std::string piece_to_bytes(std::string_view piece) {
  if (const auto byte = byte_of(piece)) return std::string(1, *byte);
  std::string bytes;
  for (size_t at = piece.find(kSpaceMark); at != std::string_view::npos; at = piece.find(kSpaceMark)) {
    bytes.append(piece.substr(0, at)) += ' ';
    piece.remove_prefix(at + kSpaceMark.size());
  }
  return bytes.append(piece);
}

/// All pieces, with control and unknown pieces as special tokens: transformers finds them in raw text, the library does
/// not. Then the folder's own added tokens.
Vocabulary vocabulary_of(const sentencepiece::SentencePieceProcessor& model, const fs::path& model_dir) {
  Vocabulary vocabulary;
  const fs::path file = model_dir / "tokenizer.model";
  for (int id = 0; id < model.GetPieceSize(); ++id) vocabulary.add_token(file, model.IdToPiece(id), id);
  std::vector<AddedToken> added = read_config_tokens(model_dir);
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    const std::string& piece = model.IdToPiece(id);
    const bool named =
        std::any_of(added.begin(), added.end(), [&](const AddedToken& token) { return token.content == piece; });
    if (named || !(model.IsControl(id) || model.IsUnknown(id))) continue;
    AddedToken token;
    token.id = static_cast<uint32_t>(id);
    token.content = piece;
    token.special = true;
    added.push_back(std::move(token));
  }
  for (AddedToken& token : added) vocabulary.add_added_token(model_dir / "tokenizer_config.json", std::move(token));
  return vocabulary;
}

/// Pieces of the sentencepiece library between the added tokens.
struct SentencePieceTokenizer : Tokenizer::Impl {
  std::unique_ptr<const sentencepiece::SentencePieceProcessor> model;

  SentencePieceTokenizer(std::unique_ptr<const sentencepiece::SentencePieceProcessor> loaded, const fs::path& model_dir)
      : Impl(vocabulary_of(*loaded, model_dir), piece_to_bytes), model(std::move(loaded)) {
    raw = AddedTokenFinder(vocabulary.added());
    std::vector<std::string> pieces;
    adds_space = model->Encode("a", &pieces).ok() && !pieces.empty() && pieces[0].starts_with(kSpaceMark);
  }

  void append_text(std::string_view text, bool /*specials_are_text*/, std::vector<int64_t>& ids) const override {
    std::vector<int> pieces;
    const auto status = model->Encode(text, &pieces);
    if (!status.ok())
      fail("text", "sentencepiece cannot encode a text of ", text.size(), " bytes: ", status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }
};

}  // namespace

std::shared_ptr<const Tokenizer::Impl> load_sentencepiece(const fs::path& model_dir) {
  const fs::path file = model_dir / "tokenizer.model";
  const std::string bytes = read_file("text", file, kMaxBytes);
  auto model = std::make_unique<sentencepiece::SentencePieceProcessor>();
  // The library prints its reason and accepts an empty model; both are of no use to a caller.
  const bool loaded = !bytes.empty() && model->LoadFromSerializedProto(bytes).ok() && model->GetPieceSize() > 0;
  if (!loaded) {
    fail("text", file.string(), " is no sentencepiece model that can be read (", bytes.size(),
         " bytes); download or write the file again");
  }
  return std::make_shared<SentencePieceTokenizer>(std::move(model), model_dir);
}

}  // namespace lriad

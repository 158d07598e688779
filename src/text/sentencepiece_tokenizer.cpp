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

/// Steps through the fields of a protocol buffers message.
class ProtoFields {
 public:
  explicit ProtoFields(std::string_view message) : rest_(message) {}

  /// Goes to the next field; false at the end or if the bytes are malformed.
  bool next() {
    if (rest_.empty() || broken_) return false;
    const uint64_t tag = varint();
    number = tag >> 3;
    bytes = {};
    switch (tag & 7) {
      case 0:
        varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        broken_ = true;
    }
    return !broken_;
  }
  bool broken() const { return broken_; }

  uint64_t number = 0;
  std::string_view bytes;  ///< content of a length-delimited field, else empty

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken_ = true;
    return 0;
  }
  std::string_view take(uint64_t length) {
    if (length > rest_.size()) broken_ = true;
    const std::string_view taken = broken_ ? std::string_view() : rest_.substr(0, length);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
  bool broken_ = false;
};

/// Whether each piece of a serialized model has a text without zero bytes. The library aborts the process if not.
bool has_sound_pieces(std::string_view model) {
  ProtoFields fields(model);
  while (fields.next()) {
    if (fields.number != 1) continue;
    ProtoFields piece(fields.bytes);
    bool has_text = false;
    while (piece.next()) {
      if (piece.number != 1) continue;
      if (piece.bytes.empty() || piece.bytes.find('\0') != std::string_view::npos) return false;
      has_text = true;
    }
    if (!has_text || piece.broken()) return false;
  }
  return !fields.broken();
}

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

/// The model's pieces and the folder's added tokens. Control and unknown pieces become special tokens, since
/// transformers recognises them in text and the library does not.
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

/// Encodes the text between added tokens with the sentencepiece library.
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
  // The library prints its own message and accepts an empty model, so the cases are checked here.
  const bool loaded = !bytes.empty() && has_sound_pieces(bytes) && model->LoadFromSerializedProto(bytes).ok() &&
                      model->GetPieceSize() > 0;
  if (!loaded) {
    fail("text", file.string(), " is no sentencepiece model that can be read (", bytes.size(),
         " bytes); download or write the file again");
  }
  return std::make_shared<SentencePieceTokenizer>(std::move(model), model_dir);
}

}  // namespace lriad

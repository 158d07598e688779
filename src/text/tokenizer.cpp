#include "lriad/text/tokenizer.h"

#include <utility>

#include "json_file.h"
#include "lriad/core/error.h"
#include "tokenizer_impl.h"
#include "utf8.h"

namespace lriad {

Tokenizer::Impl::Impl(Vocabulary words, std::string (*to_bytes)(std::string_view)) : vocabulary(std::move(words)) {
  for (const std::string& token : vocabulary.tokens()) bytes.push_back(to_bytes(token));
  special.resize(bytes.size());
  for (const AddedToken& token : vocabulary.added()) {
    bytes[token.id] = token.content;
    special[token.id] = token.special;
  }
}

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const auto has = [&](const char* name) { return is_there(model_dir / name); };
  Tokenizer tokenizer;
  if (has("tokenizer.json") || has("vocab.json")) {
    tokenizer.impl_ = load_byte_level(model_dir);
  } else if (has("tokenizer.model")) {
    tokenizer.impl_ = load_sentencepiece(model_dir);
  } else {
    fail("text", model_dir.string(),
         " has no tokenizer: expected tokenizer.json, or vocab.json and merges.txt, or tokenizer.model");
  }
  const ChatTemplate* known = known_chat_template(model_dir);
  tokenizer.chat_template_ = known != nullptr ? known : &lriad::chat_template("qwen2_vl");
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
  StreamDecoder stream(*this, skip_special);
  std::string text;
  for (const int64_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

std::string Tokenizer::token_bytes(int64_t id) const {
  return id < 0 || id >= size() ? std::string() : impl_->bytes[static_cast<std::size_t>(id)];
}

std::optional<int64_t> Tokenizer::token_id(std::string_view token) const {
  const auto id = impl_->vocabulary.find(token);
  if (!id) return std::nullopt;
  return *id;
}

bool Tokenizer::is_special(int64_t id) const {
  return id >= 0 && id < size() && impl_->special[static_cast<std::size_t>(id)];
}

int64_t Tokenizer::size() const { return static_cast<int64_t>(impl_->bytes.size()); }

bool Tokenizer::adds_space() const { return impl_->adds_space; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special), drops_space_(tokenizer.adds_space()) {}

std::string StreamDecoder::push(int64_t id) {
  if (!(skip_special_ && tokenizer_.is_special(id))) pending_ += tokenizer_.token_bytes(id);
  if (drops_space_ && !pending_.empty()) {
    if (pending_.starts_with(' ')) pending_.erase(0, 1);
    drops_space_ = false;
  }
  const std::size_t ready = pending_.size() - utf8::incomplete_tail(pending_);
  const std::string text = utf8::replace_invalid(std::string_view(pending_).substr(0, ready));
  pending_.erase(0, ready);
  return text;
}

std::string StreamDecoder::finish() { return utf8::replace_invalid(std::exchange(pending_, {})); }

}  // namespace lriad

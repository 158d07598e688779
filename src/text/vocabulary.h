#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "added_tokens.h"
#include "bpe.h"

namespace lriad {

/// Tokens, merges and added tokens as read from a tokenizer's files, checked for contradictions.
class Vocabulary {
 public:
  /// Throws Error naming `file` if the id is outside [0, 2^24) or taken, or the token has an id already.
  void add_token(const std::filesystem::path& file, std::string token, int64_t id);

  /// Throws Error if `left`, `right` or their concatenation is no token. `location` is "merge 12" or "line 13".
  void add_merge(const std::filesystem::path& file, const std::string& location, std::string_view left,
                 std::string_view right);

  /// A token that was added before gets the flags of this one; throws Error if its text has another id already.
  void add_added_token(const std::filesystem::path& file, AddedToken token);

  std::optional<uint32_t> find(std::string_view token) const;
  const std::vector<std::string>& tokens() const { return tokens_; }  ///< by id; "" for none
  const std::vector<BpeMerge>& merges() const { return merges_; }
  const std::vector<AddedToken>& added() const { return added_; }

  bool ignore_merges = false;  ///< a piece that is itself a token is taken as it is, without merging its bytes

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<BpeMerge> merges_;
  std::vector<AddedToken> added_;
};

/// Reads a tokenizer.json of the `tokenizers` library. Throws Error naming what it found if it is not Qwen2's pipeline
/// (NFC, the split pattern, byte-level BPE).
Vocabulary read_tokenizer_json(const std::filesystem::path& file);

/// Reads vocab.json and merges.txt of a folder.
Vocabulary read_vocab_and_merges(const std::filesystem::path& model_dir);

/// Reads the added tokens of tokenizer_config.json, or if it has none those of added_tokens.json; the latter are
/// special if special_tokens_map.json lists them. Empty if neither file exists.
std::vector<AddedToken> read_config_tokens(const std::filesystem::path& model_dir);

/// Adds to a byte-level vocabulary what only these files name; their flags count before those of tokenizer.json, except
/// added_tokens.json's. Throws Error for a token with an id beyond the next free one, which transformers would not
/// keep.
void add_config_tokens(const std::filesystem::path& model_dir, Vocabulary& vocabulary);

}  // namespace lriad

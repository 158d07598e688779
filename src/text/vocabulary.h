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

/// What the files of a byte-level BPE tokenizer say, checked.
class Vocabulary {
 public:
  /// Throws Error naming `file` if the id is negative, taken, or beyond any vocabulary, or the token has one already.
  void add_token(const std::filesystem::path& file, std::string token, int64_t id);

  /// Throws Error if a part or the result of the merge is no token. `place`: "merge 12" or "line 13".
  void add_merge(const std::filesystem::path& file, const std::string& place, std::string_view left,
                 std::string_view right);

  /// A token that is a token already must have the same id; a content given twice counts once.
  void add_added_token(const std::filesystem::path& file, AddedToken token);

  std::optional<uint32_t> find(std::string_view token) const;
  const std::vector<std::string>& tokens() const { return tokens_; }  ///< by id; "" for none
  const std::vector<BpeMerge>& merges() const { return merges_; }
  const std::vector<AddedToken>& added() const { return added_; }

  bool ignore_merges = false;  ///< a piece that is a token as a whole is not merged from bytes

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

/// tokenizer.json of the `tokenizers` library. Anything but Qwen2's pipeline (NFC, the split pattern, byte-level BPE)
/// is refused with what was found.
Vocabulary read_tokenizer_json(const std::filesystem::path& file);

/// vocab.json and merges.txt of a folder.
Vocabulary read_vocab_and_merges(const std::filesystem::path& model_dir);

/// The added tokens of tokenizer_config.json, else those of added_tokens.json (special where special_tokens_map.json
/// names them). No such file: none.
std::vector<AddedToken> read_config_tokens(const std::filesystem::path& model_dir);

}  // namespace lriad

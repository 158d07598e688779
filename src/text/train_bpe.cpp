#include <algorithm>
#include <utility>

#include "byte_alphabet.h"
#include "lriad/core/error.h"
#include "lriad/text/train_tokenizer.h"
#include "split_pattern.h"
#include "tokenizer_files.h"
#include "unicode.h"
#include "utf8.h"

namespace lriad {
namespace {

using nlohmann::ordered_json;
using Pair = std::pair<std::string, std::string>;

/// A distinct piece of the texts: its tokens after the merges so far, and how often it occurs.
struct Word {
  std::vector<std::string> tokens;
  int64_t count = 0;
};

std::vector<Word> words_of(const std::vector<std::string>& texts) {
  std::map<std::string, int64_t> counts;
  for (const std::string& raw : texts) {
    if (!utf8::is_valid(raw)) fail("text", "a text to learn merges from is not UTF-8");
    const std::string text = unicode::nfc(raw);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = next_piece(text, at);
      ++counts[text.substr(at, end - at)];
      at = end;
    }
  }
  std::vector<Word> words;
  for (const auto& [piece, count] : counts) {
    Word word{{}, count};
    for (const char byte : piece) word.tokens.push_back(bytes_to_token({&byte, 1}));
    words.push_back(std::move(word));
  }
  return words;
}

/// The most frequent pair of adjacent tokens, the first in byte order of equally frequent ones. Both are empty if no
/// word has two tokens left.
Pair best_pair(const std::vector<Word>& words) {
  std::map<Pair, int64_t> counts;
  for (const Word& word : words) {
    for (std::size_t i = 0; i + 1 < word.tokens.size(); ++i) counts[{word.tokens[i], word.tokens[i + 1]}] += word.count;
  }
  const auto best =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return best == counts.end() ? Pair() : best->first;
}

void merge(Word& word, const Pair& pair) {
  std::vector<std::string> merged;
  for (std::size_t i = 0; i < word.tokens.size(); ++i) {
    const bool both = i + 1 < word.tokens.size() && word.tokens[i] == pair.first && word.tokens[i + 1] == pair.second;
    merged.push_back(both ? pair.first + pair.second : word.tokens[i]);
    if (both) ++i;
  }
  word.tokens = std::move(merged);
}

/// Ids of the bytes in Qwen2's order: first the bytes that are written as themselves, then the other 68.
ordered_json byte_vocabulary() {
  ordered_json vocabulary = ordered_json::object();
  int64_t id = 0;
  for (const bool own : {true, false}) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::string& character = byte_characters().at(byte);
      const bool is_own = utf8::step_valid(character, 0).code == byte;
      if (is_own == own) vocabulary[character] = id++;
    }
  }
  return vocabulary;
}

ordered_json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

std::string tokenizer_json_text(const ordered_json& vocabulary, const std::vector<std::string>& merges,
                                std::string_view model_type) {
  const ordered_json split = {
      {"type", "Split"}, {"pattern", {{"Regex", kSplitPattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  const ordered_json model = {{"type", "BPE"},
                              {"dropout", nullptr},
                              {"unk_token", nullptr},
                              {"continuing_subword_prefix", ""},
                              {"end_of_word_suffix", ""},
                              {"fuse_unk", false},
                              {"byte_fallback", false},
                              {"ignore_merges", false},
                              {"vocab", vocabulary},
                              {"merges", merges}};
  const ordered_json root = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added_tokens_json(model_type, static_cast<int64_t>(vocabulary.size()))},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", ordered_json::array({split, byte_level()})}}},
      {"post_processor", byte_level()},
      {"decoder", byte_level()},
      {"model", model}};
  return root.dump(2) + "\n";
}

}  // namespace

TokenizerFiles train_bpe_tokenizer(const std::vector<std::string>& texts, int64_t size, std::string_view model_type) {
  const auto added = static_cast<int64_t>(family_tokens(model_type).size()), room = size - added;
  if (room < 256)
    fail("text", "a byte-level tokenizer of ", size, " tokens is too small, expected ", 256 + added, " or more");
  std::vector<Word> words = words_of(texts);
  ordered_json vocabulary = byte_vocabulary();
  std::vector<std::string> merges;
  while (static_cast<int64_t>(vocabulary.size()) < room) {
    const Pair pair = best_pair(words);
    if (pair.first.empty()) break;
    for (Word& word : words) merge(word, pair);
    const auto id = static_cast<int64_t>(vocabulary.size());
    // A second merge with the same result is left out, so that a token's id stays 256 + the rank of its merge.
    if (vocabulary.emplace(pair.first + pair.second, id).second) merges.push_back(pair.first + " " + pair.second);
  }
  std::string lines = "#version: 0.2\n";
  for (const std::string& line : merges) lines += line + "\n";
  const auto first_special = static_cast<int64_t>(vocabulary.size());
  return {{"vocab.json", vocabulary.dump() + "\n"},
          {"merges.txt", lines},
          {"tokenizer.json", tokenizer_json_text(vocabulary, merges, model_type)},
          {"tokenizer_config.json", tokenizer_config_text(model_type, "Qwen2Tokenizer", first_special)}};
}

}  // namespace lriad

#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "temp_folder.h"

namespace lriad {

/// A folder with the tokenizer published with Qwen2-VL-2B-Instruct. tests/golden has merges.txt and the small files;
/// the vocabulary follows from them: the 256 byte symbols of GPT-2's bytes_to_unicode(), then one token per merge.
class Qwen2TokenizerFolder {
 public:
  Qwen2TokenizerFolder() {
    const std::filesystem::path kept = std::filesystem::path(LRIAD_GOLDEN_DIR) / "qwen2_tokenizer";
    for (const char* name : {"merges.txt", "tokenizer_config.json", "added_tokens.json", "chat_template.json"}) {
      std::filesystem::copy_file(kept / name, path() / name);
    }
    nlohmann::json vocabulary = byte_symbols(), merges = nlohmann::json::array();
    std::ifstream lines(kept / "merges.txt");
    std::string line;
    std::getline(lines, line);  // "#version: 0.2"
    while (std::getline(lines, line)) {
      const std::size_t space = line.find(' ');
      const auto id = vocabulary.size();
      vocabulary[line.substr(0, space) + line.substr(space + 1)] = id;
      merges.push_back(line);
    }
    if (vocabulary.size() != 151643) throw std::runtime_error("the kept merges.txt is not the published one");
    std::ofstream(path() / "vocab.json") << vocabulary;
    nlohmann::json whole = nlohmann::json::parse(std::ifstream(kept / "tokenizer_frame.json"));
    whole["model"]["vocab"] = vocabulary;
    whole["model"]["merges"] = merges;
    std::ofstream(path() / "tokenizer.json") << whole;
  }

  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  static std::string utf8(unsigned code) {
    if (code < 0x80) return {static_cast<char>(code)};
    return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
  }

  /// Symbols of all bytes: first the printable ones, which are themselves, then code points from 256 on.
  static nlohmann::json byte_symbols() {
    nlohmann::json symbols = nlohmann::json::object();
    for (unsigned code = 33; code < 256; ++code) {
      const bool printable = code < 127 || (code > 160 && code != 173);
      const auto id = symbols.size();
      if (printable) symbols[utf8(code)] = id;
    }
    for (unsigned code = 256; symbols.size() < 256; ++code) {
      const auto id = symbols.size();
      symbols[utf8(code)] = id;
    }
    return symbols;
  }

  TempFolder folder_;
};

}  // namespace lriad

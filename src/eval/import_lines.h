#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lriad {

/// One line, or one entry of an array, of somebody else's file, not yet joined to a sample.
struct ImportedLine {
  int64_t line = 0;  ///< from 1
  std::string image;
  std::string verdict;  ///< in lower case; empty: none
  std::string text;
  std::optional<double> score;
  std::optional<bool> right;  ///< MMAD: whether the option that was chosen is the correct one
};

/// Reads CSV with a header, JSONL, or the JSON array of MMAD's answers, of which only those of question type "Anomaly
/// Detection" count. Throws Error naming file and line.
std::vector<ImportedLine> read_imported_lines(const std::filesystem::path& path);

}  // namespace lriad

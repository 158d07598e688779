#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lriad {

/// A comma-separated table (RFC 4180): quoted fields may contain commas, doubled quotes and line ends. CRLF and a byte
/// order mark are accepted.
struct CsvTable {
  struct Row {
    int64_t line = 0;  ///< line of the file on which the row starts, from 1
    std::vector<std::string> fields;
  };
  std::vector<Row> rows;  ///< header first; blank lines are left out
};

/// Parses `text`; throws Error naming `path` and line for a quote that is not closed, or text after a closing quote.
CsvTable parse_csv(std::string_view text, const std::filesystem::path& path);

}  // namespace lriad

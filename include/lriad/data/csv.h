#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lriad {

/// A comma-separated table (RFC 4180): quoted fields may hold commas, doubled quotes and line ends; CRLF and a byte
/// order mark are taken.
struct CsvTable {
  struct Row {
    int64_t line = 0;  ///< line of the file on which the row starts, from 1
    std::vector<std::string> fields;
  };
  std::vector<Row> rows;  ///< the header is the first; blank lines are left out
};

/// Throws Error naming file and line for an open quote or text after a closing one.
CsvTable parse_csv(std::string_view text, const std::filesystem::path& path);

}  // namespace lriad

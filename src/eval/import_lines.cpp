#include "import_lines.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/data/csv.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using JsonLine = nlohmann::json;

/// The names under which other programs write a field, the first that is there counts.
using Names = std::vector<const char*>;
const Names kImage = {"image", "image_path", "img_path", "path"};
const Names kVerdict = {"verdict", "pred_label", "prediction"};
const Names kScore = {"score", "pred_score", "anomaly_score"};
const Names kText = {"text"};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class LineReader {
 public:
  explicit LineReader(const fs::path& path) : path_(path) {}

  std::vector<ImportedLine> run() const {
    const std::string bytes = read_file("eval", path_);
    if (!is_utf8(bytes)) fail("eval", path_.string(), " is not UTF-8 text");
    const size_t first = bytes.find_first_not_of(" \t\r\n");
    const char kind = first == std::string::npos ? ' ' : bytes[first];
    if (kind == '[') return read_mmad(bytes);
    return kind == '{' ? read_jsonl(bytes) : read_table(bytes);
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail_at(int64_t line, const Parts&... parts) const {
    fail("eval", path_.string(), " line ", line, ": ", parts...);
  }

  double parse_score(int64_t line, const std::string& text) const {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end || !std::isfinite(value)) {
      fail_at(line, "score is ", text, ", expected a number");
    }
    return value;
  }

  std::vector<ImportedLine> read_table(const std::string& bytes) const {
    const CsvTable table = parse_csv(bytes, path_);
    if (table.rows.empty()) fail("eval", path_.string(), " is empty");
    std::map<std::string, size_t> columns;
    const std::vector<std::string>& header = table.rows[0].fields;
    for (size_t i = 0; i < header.size(); ++i) columns.emplace(header[i], i);
    const auto column_of = [&](const Names& names) {
      const auto found = std::ranges::find_if(names, [&](const char* name) { return columns.contains(name); });
      return found == names.end() ? std::nullopt : std::optional(columns.at(*found));
    };
    if (!column_of(kImage) || !(column_of(kVerdict) || column_of(kScore))) {
      fail_at(table.rows[0].line,
              "expected a header with image and verdict or score (or image_path, pred_label, pred_score)");
    }
    std::vector<ImportedLine> lines;
    for (size_t r = 1; r < table.rows.size(); ++r) {
      const CsvTable::Row& row = table.rows[r];
      if (row.fields.size() != header.size()) {
        fail_at(row.line, "has ", row.fields.size(), " fields, the header ", header.size());
      }
      const auto field = [&](const Names& names) {
        const auto column = column_of(names);
        return column ? row.fields[*column] : std::string();
      };
      ImportedLine line{row.line, field(kImage), lower(field(kVerdict)), field(kText), std::nullopt, std::nullopt};
      if (const std::string score = field(kScore); !score.empty()) line.score = parse_score(row.line, score);
      lines.push_back(std::move(line));
    }
    return lines;
  }

  /// The first of the fields that is there; null if none is.
  static const JsonLine& json_field(const JsonLine& object, const Names& names) {
    static const JsonLine kNull;
    const auto found = std::ranges::find_if(names, [&](const char* name) { return object.contains(name); });
    return found == names.end() ? kNull : object.at(*found);
  }

  std::string json_text(const JsonLine& object, const Names& names, int64_t line) const {
    const JsonLine& value = json_field(object, names);
    if (value.is_null()) return "";
    if (!value.is_string()) fail_at(line, names.front(), " is ", value.type_name(), ", expected text");
    return value.get<std::string>();
  }

  /// Verdicts may be numbers and booleans too.
  std::string json_verdict(const JsonLine& object, int64_t line) const {
    const JsonLine& value = json_field(object, kVerdict);
    if (value.is_boolean() || value.is_number_integer()) return value.dump();
    return lower(json_text(object, kVerdict, line));
  }

  ImportedLine read_object(const std::string& text, int64_t number) const {
    std::string problem;
    const JsonLine object = parse_json_object(text, problem);
    if (!object.is_object()) fail_at(number, problem);
    ImportedLine line{number,
                      json_text(object, kImage, number),
                      json_verdict(object, number),
                      json_text(object, kText, number),
                      std::nullopt,
                      std::nullopt};
    if (const JsonLine& score = json_field(object, kScore); !score.is_null()) {
      if (!score.is_number()) fail_at(number, "score is ", score.dump(), ", expected a number");
      line.score = score.get<double>();
    }
    return line;
  }

  std::vector<ImportedLine> read_jsonl(const std::string& bytes) const {
    std::vector<ImportedLine> lines;
    int64_t number = 0;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t end = std::min(bytes.find('\n', begin), bytes.size());
      const std::string text = bytes.substr(begin, end - begin);
      ++number;
      begin = end + 1;
      if (text.find_first_not_of(" \t\r") != std::string::npos) lines.push_back(read_object(text, number));
    }
    return lines;
  }

  /// An answer that is no option's letter is invalid.
  ImportedLine mmad_line(const JsonLine& entry, int64_t number) const {
    ImportedLine line{number,       json_text(entry, {"image"}, number),
                      "",           json_text(entry, {"gpt_answer"}, number),
                      std::nullopt, std::nullopt};
    const std::string correct = json_text(entry, {"correct_answer"}, number);
    if (correct != "A" && correct != "B") fail_at(number, "correct_answer is ", correct, ", expected A or B");
    if (line.text == "A" || line.text == "B") {
      line.right = line.text == correct;
    } else {
      line.verdict = "invalid";
    }
    return line;
  }

  std::vector<ImportedLine> read_mmad(const std::string& bytes) const {
    std::string problem;
    const JsonLine entries = parse_json(bytes, &problem);
    if (!entries.is_array()) fail("eval", path_.string(), " ", problem);
    std::vector<ImportedLine> lines;
    for (size_t i = 0; i < entries.size(); ++i) {
      const auto number = static_cast<int64_t>(i + 1);
      if (!entries[i].is_object()) fail_at(number, "is ", entries[i].type_name(), ", expected an object");
      if (json_text(entries[i], {"question_type"}, number) == "Anomaly Detection")
        lines.push_back(mmad_line(entries[i], number));
    }
    return lines;
  }

  const fs::path& path_;
};

}  // namespace

std::vector<ImportedLine> read_imported_lines(const fs::path& path) { return LineReader(path).run(); }

}  // namespace lriad

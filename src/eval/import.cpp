#include "lriad/eval/import.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>
#include <unordered_map>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/data/csv.h"
#include "lriad/eval/operating_point.h"
#include "lriad/eval/predictions.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// One line of somebody else's file, not yet joined to a sample.
struct ImportedLine {
  int64_t line = 0;
  std::string image;
  std::string verdict;  ///< empty: none
  std::string text;
  std::optional<double> score;
};

/// The names under which other programs write a field, the first that is there counts.
using Names = std::vector<const char*>;
const Names kImage = {"image", "image_path", "img_path", "path"};
const Names kVerdict = {"verdict", "pred_label", "prediction"};
const Names kScore = {"score", "pred_score", "anomaly_score"};
const Names kText = {"text"};

struct VerdictWord {
  std::string_view word;
  Verdict verdict;
};
/// In lower case; 1 and true are what anomaly detectors write for a defect.
constexpr VerdictWord kVerdictWords[] = {
    {"defect", Verdict::kDefect},  {"1", Verdict::kDefect},         {"true", Verdict::kDefect},
    {"anomaly", Verdict::kDefect}, {"anomalous", Verdict::kDefect}, {"abnormal", Verdict::kDefect},
    {"normal", Verdict::kNormal},  {"0", Verdict::kNormal},         {"false", Verdict::kNormal},
    {"good", Verdict::kNormal},    {"invalid", Verdict::kInvalid}};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Importer {
 public:
  Importer(const fs::path& path, const Dataset& dataset, const ImportOptions& options)
      : path_(path), dataset_(dataset), options_(options), taken_(dataset.samples.size(), 0) {
    for (size_t i = 0; i < dataset.samples.size(); ++i) {
      by_name_.emplace(dataset.samples[i].image, i);
      by_name_.emplace(dataset.samples[i].path.lexically_normal().string(), i);
    }
  }

  std::vector<Prediction> run() {
    const std::string bytes = read_file("eval", path_);
    if (!is_utf8(bytes)) fail("eval", path_.string(), " is not UTF-8 text");
    const size_t first = bytes.find_first_not_of(" \t\r\n");
    const std::vector<ImportedLine> lines =
        first != std::string::npos && bytes[first] == '{' ? read_jsonl(bytes) : read_table(bytes);
    if (lines.empty()) fail("eval", path_.string(), " holds no predictions");
    std::vector<Prediction> predictions;
    for (const ImportedLine& line : lines) predictions.push_back(join(line));
    check_coverage(predictions.size());
    return predictions;
  }

 private:
  void check_coverage(size_t covered) const {
    const size_t all = dataset_.samples.size();
    if (covered == all) return;
    const auto first = std::find(taken_.begin(), taken_.end(), 0) - taken_.begin();
    const std::string text =
        concat(path_.string(), " covers ", covered, " of ", all, " images, the first without a line is ",
               dataset_.samples[static_cast<size_t>(first)].image);
    if (!options_.partial)
      fail("eval", text, "; complete the file, or give --partial to have metrics of the covered images alone");
    log_warning(concat(text, "; the others are left out of the metrics"));
  }

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
      ImportedLine line{row.line, field(kImage), lower(field(kVerdict)), field(kText), std::nullopt};
      if (const std::string score = field(kScore); !score.empty()) line.score = parse_score(row.line, score);
      lines.push_back(std::move(line));
    }
    return lines;
  }

  /// The first of the fields that is there; null if none is.
  static const Json& json_field(const Json& object, const Names& names) {
    static const Json kNull;
    const auto found = std::ranges::find_if(names, [&](const char* name) { return object.contains(name); });
    return found == names.end() ? kNull : object.at(*found);
  }

  std::string json_text(const Json& object, const Names& names, int64_t line) const {
    const Json& value = json_field(object, names);
    if (value.is_null()) return "";
    if (!value.is_string()) fail_at(line, names.front(), " is ", value.type_name(), ", expected text");
    return value.get<std::string>();
  }

  /// Verdicts may be numbers and booleans too.
  std::string json_verdict(const Json& object, int64_t line) const {
    const Json& value = json_field(object, kVerdict);
    if (value.is_boolean() || value.is_number_integer()) return value.dump();
    return lower(json_text(object, kVerdict, line));
  }

  ImportedLine read_object(const std::string& text, int64_t number) const {
    std::string problem;
    const Json object = parse_json_object(text, problem);
    if (!object.is_object()) fail_at(number, problem);
    ImportedLine line{number, json_text(object, kImage, number), json_verdict(object, number),
                      json_text(object, kText, number), std::nullopt};
    if (const Json& score = json_field(object, kScore); !score.is_null()) {
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

  std::optional<size_t> find(const std::string& image) {
    for (const fs::path& name : {fs::path(image), fs::path(image).lexically_normal(),
                                 (dataset_.root / image).lexically_normal(), fs::absolute(image).lexically_normal()}) {
      if (const auto it = by_name_.find(name.string()); it != by_name_.end()) return it->second;
    }
    if (const auto found = find_below(image)) return found;
    return find_canonical(image);
  }

  /// An image whose path below the data root stands at the end of `image`: the same data set elsewhere.
  std::optional<size_t> find_below(const std::string& image) const {
    for (size_t slash = image.find('/'); slash != std::string::npos; slash = image.find('/', slash + 1)) {
      if (const auto it = by_name_.find(image.substr(slash + 1)); it != by_name_.end()) return it->second;
    }
    return std::nullopt;
  }

  /// The same file under another name (links); slower, so only when the names do not tell.
  std::optional<size_t> find_canonical(const std::string& image) {
    std::error_code error;
    const fs::path wanted = fs::canonical(image, error);
    if (error) return std::nullopt;
    if (by_canonical_.empty()) {
      for (size_t i = 0; i < dataset_.samples.size(); ++i) {
        const fs::path path = fs::canonical(dataset_.samples[i].path, error);
        if (!error) by_canonical_.emplace(path.string(), i);
      }
    }
    const auto it = by_canonical_.find(wanted.string());
    return it == by_canonical_.end() ? std::nullopt : std::optional(it->second);
  }

  Verdict judge(const ImportedLine& line) const {
    if (!line.verdict.empty()) return verdict_at(named_verdict(line), line.score, options_.threshold);
    if (!line.score) fail_at(line.line, "has neither a verdict nor a score");
    if (!options_.threshold && (*line.score < 0 || *line.score > 1)) {
      fail_at(line.line, "score is ", *line.score, ", not a probability: give --threshold");
    }
    return *line.score >= options_.threshold.value_or(0.5) ? Verdict::kDefect : Verdict::kNormal;
  }

  Verdict named_verdict(const ImportedLine& line) const {
    const auto known = std::ranges::find(kVerdictWords, line.verdict, &VerdictWord::word);
    if (known != std::end(kVerdictWords)) return known->verdict;
    fail_at(line.line, "verdict is ", line.verdict, ", expected defect, normal, invalid or unreadable (or 1 and 0)");
  }

  Prediction join(const ImportedLine& line) {
    if (line.image.empty()) fail_at(line.line, "has no image");
    const std::optional<size_t> index = find(line.image);
    if (!index) fail_at(line.line, "image ", line.image, " is not in the data set ", dataset_.root.string());
    if (taken_[*index] != 0) fail_at(line.line, "image ", line.image, " was already on line ", taken_[*index]);
    taken_[*index] = line.line;
    Prediction prediction = prediction_of(dataset_.samples[*index]);
    prediction.text = line.text;
    if (line.verdict == "unreadable") {
      prediction.error = concat("unreadable in ", path_.filename().string());
      return prediction;
    }
    prediction.verdict = judge(line);
    prediction.score = line.score;
    return prediction;
  }

  const fs::path& path_;
  const Dataset& dataset_;
  const ImportOptions& options_;
  std::vector<int64_t> taken_;  ///< line that a sample was on, 0: none yet
  std::unordered_map<std::string, size_t> by_name_, by_canonical_;
};

}  // namespace

std::vector<Prediction> import_predictions(const std::filesystem::path& path, const Dataset& dataset,
                                           const ImportOptions& options) {
  return Importer(path, dataset, options).run();
}

}  // namespace lriad

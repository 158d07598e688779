#include "lriad/eval/predictions.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/json.h"
#include "core/json_null.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/replaced.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kCellSteps = 1e7;  // cells of a map are written with seven decimals
constexpr uint64_t kLargestLog = 1ull << 36;
constexpr const char* kUnreadable = "unreadable";  ///< the verdict of a line whose image could not be read

/// What is wrong with one line, for the caller to put file and line before.
struct LineError {
  std::string text;
};

const Json& member(const Json& line, const char* name) {
  const auto it = line.find(name);
  if (it == line.end()) throw LineError{concat("has no ", name)};
  return *it;
}

std::string text_member(const Json& line, const char* name) {
  const Json& value = member(line, name);
  if (!value.is_string()) throw LineError{concat(name, " is ", value.type_name(), ", expected text")};
  return value.get<std::string>();
}

std::optional<Verdict> read_label(const Json& value) {
  if (value.is_null()) return std::nullopt;
  if (value == "defect") return Verdict::kDefect;
  if (value == "normal") return Verdict::kNormal;
  throw LineError{"label is not defect, normal or null"};
}

Verdict read_verdict(const std::string& name) {
  for (const Verdict verdict : {Verdict::kNormal, Verdict::kDefect, Verdict::kInvalid}) {
    if (name == verdict_name(verdict)) return verdict;
  }
  throw LineError{concat("verdict is ", name, ", expected defect, normal, invalid or unreadable")};
}

void read_answer(const Json& line, Prediction& p) {
  const std::string verdict = text_member(line, "verdict");
  if (verdict == kUnreadable) {
    p.error = text_member(line, "error");
    if (p.error.empty()) throw LineError{"verdict is unreadable, but error is empty"};
  } else {
    p.verdict = read_verdict(verdict);
  }
}

const Json* list_member(const Json& line, const char* name) {
  const auto it = line.find(name);
  if (it == line.end()) return nullptr;
  if (!it->is_array()) throw LineError{concat(name, " is ", it->type_name(), ", expected a list")};
  return &*it;
}

std::vector<int64_t> id_list(const Json& line, const char* name) {
  std::vector<int64_t> ids;
  const Json* list = list_member(line, name);
  if (list == nullptr) return ids;
  for (const Json& value : *list) {
    if (!value.is_number_integer())
      throw LineError{concat(name, " holds ", value.type_name(), ", expected whole numbers")};
    ids.push_back(value.get<int64_t>());
  }
  return ids;
}

std::vector<double> number_list(const Json& line, const char* name) {
  std::vector<double> numbers;
  const Json* list = list_member(line, name);
  if (list == nullptr) return numbers;
  for (const Json& value : *list) {
    if (!value.is_number() && !value.is_null()) throw LineError{concat(name, " holds ", value.type_name())};
    numbers.push_back(value.is_null() ? std::nan("") : value.get<double>());
  }
  return numbers;
}

std::vector<std::string> text_list(const Json& line, const char* name) {
  std::vector<std::string> texts;
  const Json* list = list_member(line, name);
  if (list == nullptr) return texts;
  for (const Json& value : *list) {
    if (!value.is_string()) throw LineError{concat(name, " holds ", value.type_name(), ", expected texts")};
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

double number_member(const Json& line, const char* name) {
  const Json& value = member(line, name);
  if (!value.is_number() && !value.is_null())
    throw LineError{concat(name, " of the map is ", value.type_name(), ", expected a number")};
  return value.is_null() ? std::nan("") : value.get<double>();
}

HeatMap read_map(const Json& value) {
  if (!value.is_object()) throw LineError{concat("map is ", value.type_name(), ", expected an object")};
  HeatMap map;
  const Json* rows = list_member(value, "cells");
  if (rows == nullptr || rows->empty()) throw LineError{"map has no cells"};
  for (const Json& row : *rows) {
    if (!row.is_array() || row.empty() || row.size() != rows->front().size())
      throw LineError{"cells of the map are no rows of equal length"};
    for (const Json& cell : row) {
      if (!cell.is_number() && !cell.is_null()) throw LineError{concat("cells of the map hold ", cell.type_name())};
      map.cells.push_back(cell.is_null() ? std::nan("") : cell.get<double>());
    }
  }
  map.rows = std::ssize(*rows);
  map.columns = std::ssize(rows->front());
  const Json& deletion = member(value, "deletion");
  if (!deletion.is_object()) throw LineError{"deletion of the map is no object"};
  map.drop = number_member(deletion, "map");
  map.random_drop = number_member(deletion, "random");
  map.file = text_member(value, "file");
  return map;
}

Json map_json(const HeatMap& map) {
  Json rows = Json::array();
  for (int64_t row = 0; row < map.rows; ++row) {
    Json& cells = rows.emplace_back(Json::array());
    for (int64_t column = 0; column < map.columns; ++column) {
      const double value = map.cells[static_cast<size_t>(row * map.columns + column)];
      cells.push_back(finite_or_null(std::round(value * kCellSteps) / kCellSteps));
    }
  }
  return {{"cells", rows},
          {"deletion", {{"map", finite_or_null(map.drop)}, {"random", finite_or_null(map.random_drop)}}},
          {"file", map.file}};
}

Prediction read_line(const std::string& text) {
  std::string problem;
  const Json line = parse_json_object<Json>(text, problem);
  if (!line.is_object()) throw LineError{problem};
  Prediction p;
  p.sample_id = text_member(line, "sample_id");
  p.image = text_member(line, "image");
  p.object = text_member(line, "object");
  const Json& kind = member(line, "defect_type");
  p.defect_type = kind.is_null() ? "" : text_member(line, "defect_type");
  p.label = read_label(member(line, "label"));
  p.text = text_member(line, "text");
  read_answer(line, p);
  const Json& score = member(line, "score");
  if (!score.is_null() && !score.is_number()) throw LineError{"score is neither a number nor null"};
  if (score.is_number()) p.score = score.get<double>();
  const Json& length = member(line, "length");
  const Json& truncated = member(line, "truncated");
  if (!length.is_number_integer() || !truncated.is_boolean()) throw LineError{"length or truncated has a wrong type"};
  p.length = length.get<int64_t>();
  p.truncated = truncated.get<bool>();
  p.reference = text_list(line, "reference");
  p.prompt_ids = id_list(line, "prompt_ids");
  p.completion_ids = id_list(line, "completion_ids");
  p.logprobs = number_list(line, "logprobs");
  if (const auto map = line.find("map"); map != line.end()) p.map = read_map(*map);
  return p;
}

}  // namespace

const char* verdict_text(const Prediction& p) { return p.unreadable() ? kUnreadable : verdict_name(p.verdict); }

Prediction prediction_of(const Sample& sample) {
  Prediction p;
  p.sample_id = sample.id;
  p.image = sample.image;
  p.object = sample.object;
  p.defect_type = sample.defect_type;
  p.label = sample.label;
  return p;
}

std::string prediction_line(const Prediction& p, const std::optional<double>& threshold) {
  Json line;
  line["sample_id"] = p.sample_id;
  line["image"] = p.image;
  line["object"] = p.object;
  line["defect_type"] = p.defect_type;
  line["label"] = p.label ? Json(verdict_name(*p.label)) : Json(nullptr);
  line["text"] = p.text;
  line["verdict"] = verdict_text(p);
  line["score"] = p.score ? finite_or_null(*p.score) : Json(nullptr);
  if (threshold) line["threshold"] = finite_or_null(*threshold);
  line["length"] = p.length;
  line["truncated"] = p.truncated;
  if (p.unreadable()) line["error"] = p.error;
  if (!p.reference.empty()) line["reference"] = p.reference;
  if (!p.prompt_ids.empty()) line["prompt_ids"] = p.prompt_ids;
  if (!p.completion_ids.empty()) line["completion_ids"] = p.completion_ids;
  if (!p.logprobs.empty()) {
    line["logprobs"] = Json::array();
    for (const double value : p.logprobs) line["logprobs"].push_back(finite_or_null(value));
  }
  if (p.map) line["map"] = map_json(*p.map);
  return json_line(line);
}

bool called_defect(const Prediction& p) { return !p.unreadable() && p.verdict == Verdict::kDefect; }

std::string prediction_csv_header() { return "image,object,label,verdict,score,threshold,map,error"; }

std::string prediction_csv_row(const Prediction& p, const std::optional<double>& threshold) {
  const auto number = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? Json(*value).dump() : std::string();
  };
  const std::array<std::string, 8> fields = {p.image,
                                             p.object,
                                             p.label ? verdict_name(*p.label) : "",
                                             verdict_text(p),
                                             number(p.score),
                                             number(threshold),
                                             p.map ? p.map->file : "",
                                             p.error};
  std::string row;
  for (const std::string& field : fields) {
    if (&field != fields.data()) row += ',';
    const bool plain = field.find_first_of(",\"\r\n") == std::string::npos;
    row += plain ? field : concat('"', replaced(field, "\"", "\"\""), '"');
  }
  return row;
}

Prediction parse_prediction(const std::string& line) {
  try {
    return read_line(line);
  } catch (const LineError& error) {
    fail("eval", "a prediction's line ", error.text);
  }
}

PredictionLog read_predictions(const std::filesystem::path& path) {
  const std::string bytes = read_file("eval", path, kLargestLog);
  PredictionLog log;
  std::unordered_set<std::string> seen;
  int64_t number = 0;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = bytes.find('\n', begin);
    if (end == std::string::npos) break;
    ++number;
    try {
      Prediction prediction = read_line(bytes.substr(begin, end - begin));
      if (!seen.insert(prediction.sample_id).second) throw LineError{"repeats sample " + prediction.sample_id};
      log.predictions.push_back(std::move(prediction));
    } catch (const LineError& error) {
      // A crash of the machine can leave a last line whose newline arrived and whose text did not.
      if (end + 1 == bytes.size()) break;
      fail("eval", path.string(), " line ", number, ": ", error.text, "; repair it, or start without --resume");
    }
    begin = end + 1;
    log.complete_bytes = begin;
  }
  return log;
}

}  // namespace lriad

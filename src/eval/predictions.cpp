#include "lriad/eval/predictions.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kLargestLog = 1ull << 36;
constexpr const char* kUnreadable = "unreadable";  ///< the verdict of a line whose image could not be read

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

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
  p.prompt_ids = id_list(line, "prompt_ids");
  p.completion_ids = id_list(line, "completion_ids");
  p.logprobs = number_list(line, "logprobs");
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

std::string prediction_line(const Prediction& p) {
  Json line;
  line["sample_id"] = p.sample_id;
  line["image"] = p.image;
  line["object"] = p.object;
  line["defect_type"] = p.defect_type;
  line["label"] = p.label ? Json(verdict_name(*p.label)) : Json(nullptr);
  line["text"] = p.text;
  line["verdict"] = verdict_text(p);
  line["score"] = p.score ? finite_or_null(*p.score) : Json(nullptr);
  line["length"] = p.length;
  line["truncated"] = p.truncated;
  if (p.unreadable()) line["error"] = p.error;
  if (!p.prompt_ids.empty()) line["prompt_ids"] = p.prompt_ids;
  if (!p.completion_ids.empty()) line["completion_ids"] = p.completion_ids;
  if (!p.logprobs.empty()) {
    line["logprobs"] = Json::array();
    for (const double value : p.logprobs) line["logprobs"].push_back(finite_or_null(value));
  }
  return json_line(line);
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

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/replaced.h"
#include "lriad/eval/map_metrics.h"
#include "lriad/eval/predictions.h"
#include "metrics_text.h"
#include "report_page.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxPoints = 400;

/// JSON as the content of a script element, which a `<` could end.
std::string in_script(const std::string& json) { return replaced(json, "<", "\\u003c"); }

void set_text(Json& row, const char* name, const std::string& text) {
  if (!text.empty()) row[name] = text;
}

Json row_json(const Prediction& p, const ReportFiles& files) {
  Json row = {{"image", p.image}, {"object", p.object}, {"verdict", verdict_text(p)}, {"text", p.text}};
  if (p.label) row["label"] = verdict_name(*p.label);
  if (p.score && std::isfinite(*p.score)) row["score"] = *p.score;
  if (p.truncated) row["cut"] = true;
  set_text(row, "type", p.defect_type);
  set_text(row, "error", p.error);
  set_text(row, "thumbnail", files.thumbnail);
  set_text(row, "map", files.map);
  if (!files.references.empty()) row["references"] = files.references;
  if (p.map) row["map_note"] = deletion_text(*p.map);
  set_text(row, "file", files.original);
  return row;
}

using Curve = std::vector<std::pair<double, double>>;  ///< step and value

Curve thinned(const Curve& curve) {
  const size_t bin = (curve.size() + kMaxPoints - 1) / kMaxPoints;
  Curve points;
  for (size_t begin = 0; begin < curve.size(); begin += bin) {
    const size_t end = std::min(curve.size(), begin + bin);
    double step = 0, value = 0;
    for (size_t i = begin; i < end; ++i) {
      step += curve[i].first;
      value += curve[i].second;
    }
    const auto count = static_cast<double>(end - begin);
    points.emplace_back(step / count, value / count);
  }
  return points;
}

/// What a reader of the page asks of a run, in this order; then the metrics of its evaluations.
constexpr const char* kCurves[] = {"reward",      "loss",    "accuracy",  "recall/defect", "recall/normal",
                                   "kl",          "entropy", "grad_norm", "learning_rate", "completions/mean_length",
                                   "invalid_rate"};

}  // namespace

std::string curves_json(const std::filesystem::path& metrics_log) {
  std::map<std::string, Curve> curves;
  std::ifstream file(metrics_log);
  for (std::string text; std::getline(file, text);) {
    const auto line = parse_json(text);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number()) continue;
    for (const auto& [name, value] : line.items()) {
      const bool shown = name.starts_with("eval_") || std::ranges::find(kCurves, name) != std::end(kCurves);
      if (shown && value.is_number()) curves[name].emplace_back(line["step"].get<double>(), value.get<double>());
    }
  }
  Json out = Json::object();
  for (const char* name : kCurves) {
    if (curves.contains(name)) out[name] = thinned(curves[name]);
  }
  for (const auto& [name, curve] : curves) {
    if (name.starts_with("eval_")) out[name] = thinned(curve);
  }
  return json_line(out);
}

void write_page(const ReportInput& input, const std::vector<ReportFiles>& files, const ByteSink& put) {
  constexpr std::string_view kTitle = "{{title}}", kData = "{{data}}";
  const size_t title = kReportPage.find(kTitle), data = kReportPage.find(kData);
  require(title < data && data != std::string_view::npos, "eval", "the page of a report lacks its places");
  require(files.size() == input.predictions.size(), "eval", files.size(), " entries of files for ",
          input.predictions.size(), " predictions");
  put(kReportPage.substr(0, title));
  put(html_escape(input.title));
  put(kReportPage.substr(title + kTitle.size(), data - title - kTitle.size()));
  const Json about = input.about;
  const std::string maps_note = input.metrics.maps ? map_text(*input.metrics.maps) : "";
  put(in_script(concat("{\"title\":", json_line(Json(input.title)), ",\n\"about\":", json_line(about),
                       ",\n\"maps_note\":", json_line(Json(maps_note)),
                       ",\n\"curves\":", input.run_log.empty() ? "{}" : curves_json(input.run_log), ",\n\"metrics\":",
                       metrics_text(input.metrics, input.predictions, input.settings, -1), ",\n\"rows\":[")));
  for (size_t i = 0; i < files.size(); ++i) {
    put((i == 0 ? "\n" : ",\n") + in_script(json_line(row_json(input.predictions[i], files[i]))));
  }
  put("\n]}");
  put(kReportPage.substr(data + kData.size()));
}

}  // namespace lriad
